import json

import pytest

from research.interruption import Interrupted
from research.storage.folders import BEGUN, ResultsError, new_folder

ASKED = {"seeds": [0, 1], "data": "digits", "cache": 100}


KILLED = []  # commands that never come to their end, where they would clear up


def begin(out, *, asked=ASKED, write="log.jsonl", **how):
    """What a killed command leaves."""
    KILLED.append(new_folder(out, "train", **how))
    place = KILLED[-1].__enter__()
    place.begin(asked)
    if write:
        (place.path / write).write_text("new")


def fail(out, seen, **how):
    """A command that fails; what it has seen in its folder."""
    with new_folder(out, "train", **how) as place:
        seen += sorted(path.name for path in place.path.iterdir())
        raise ValueError("fails")


def finished(out, text="old", **more):
    with new_folder(out, "train") as place:
        record = {"settings": {"seeds": [0, 1]}, "environment": {"threads": "2"}, **more}
        (place.path / "experiment.json").write_text(json.dumps(record))
        (place.path / "log.jsonl").write_text(text)


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A folder, which nobody has locked: the processes of earlier commands are gone."""
    monkeypatch.setattr("research.storage.locks._lock", lambda descriptor: None)
    return tmp_path / "out"


def test_what_was_asked_for_must_be_asked_for_again(out):
    begin(out)
    with new_folder(out, "train", resume=True) as place:
        assert place.asked == ASKED
        different = {"seeds": [0, 1, 2], "data": "digits", "model": "vgg", "cache": "auto"}
        with pytest.raises(
            ResultsError, match="other settings: seeds 0,1 there, 0,1,2 here; model not given there"
        ):
            place.begin(different)
        place.begin({**ASKED, "cache": "auto"})
    assert not (out / BEGUN).exists()
    assert (out / "log.jsonl").read_text() == "new"


def test_a_record_that_knows_no_margin_was_made_with_the_usual(out):
    begin(out)
    with new_folder(out, "train", resume=True) as place:
        with pytest.raises(ResultsError, match=r"other settings: margin 0\.1 there, 0\.2 here"):
            place.begin({**ASKED, "margin": 0.2})
        place.begin({**ASKED, "margin": 0.1})


def test_a_finished_folder_is_known_and_stays(out):
    finished(out)
    with new_folder(out, "train", resume=True) as place:
        assert place.finished
        place.begin({"seeds": [0, 1], "threads": "2", "data_sha256": "unknown there"})
        with pytest.raises(ResultsError, match="threads 2 there, 1 here"):
            place.begin({"seeds": [0, 1], "threads": "1"})
    assert (out / "log.jsonl").read_text() == "old"
    assert not out.with_name("out.partial").exists()


@pytest.mark.parametrize("kill", [False, True])
def test_a_finished_folder_takes_more_seeds(out, kill):
    finished(out)
    asked = {"seeds": [0, 1, 2], "threads": "2"}
    if kill:
        begin(out, asked=asked, resume=True)
    with new_folder(out, "train", resume=True) as place:
        place.begin(asked)
        assert (place.finished, place.adds) == (False, True)
        assert (out / "log.jsonl").read_text() == "old"
        (place.path / "log.jsonl").write_text("new")
        (place.path / "experiment.json").touch()
    assert (out / "log.jsonl").read_text() == "new"
    assert not out.with_name("out.partial").exists()


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"seeds": [0]}, "seeds 0,1 there, 0 here"),
        ({"seeds": [1, 2]}, "seeds 0,1 there, 1,2 here"),
        ({"seeds": [0, 1, 2], "data_sha256": "other"}, "data_sha256 this there, other here"),
        ({"seeds": [0, 1, 2], "method_files": ["own 5678"]}, "own 1234 there, own 5678 here"),
    ],
)
def test_a_finished_folder_takes_nothing_else(out, asked, text):
    known = {"data_sha256": "this", "methods": {"own": {"sha256": "1234"}}}
    finished(out, **known)
    same = {"threads": "2", "data_sha256": "this", "method_files": ["own 1234"]}
    with (
        pytest.raises(ResultsError, match=text),
        new_folder(out, "train", resume=True) as place,
    ):
        place.begin({**same, **asked})
    assert not out.with_name("out.partial").exists()


def test_more_seeds_are_asked_for_before_all_are_done(out):
    begin(out, asked={"seeds": [0]})
    with new_folder(out, "train", resume=True) as place:
        place.begin({"seeds": [0, 1]})
        assert (place.finished, place.adds) == (False, False)
        (place.path / "experiment.json").touch()


def test_a_missing_folder_is_begun(out):
    with new_folder(out, "train", resume=True) as place:
        assert (place.finished, place.asked) == (False, {})
        place.begin(ASKED)
        (place.path / "experiment.json").touch()
    assert out.exists()


def test_what_was_to_be_replaced_is_replaced_after_a_kill(out):
    finished(out)
    begin(out, overwrite=True)
    with new_folder(out, "train", resume=True) as place:
        assert not place.finished
        assert (place.path / "log.jsonl").read_text() == "new"
        (place.path / "experiment.json").touch()
    assert (out / "log.jsonl").read_text() == "new"


def test_results_are_not_replaced_unless_that_was_asked_for(out):
    begin(out)
    out.mkdir()
    (out / "experiment.json").touch()
    with (
        pytest.raises(ResultsError, match="holds earlier results"),
        new_folder(out, "train", resume=True),
    ):
        pass


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_what_was_set_aside_is_there_again_after_a_kill(out, how):
    begin(out)
    begin(out, overwrite=True, write=None)  # killed before it had something of its own
    partial = out.with_name("out.partial")
    assert not (partial / "log.jsonl").exists()
    seen = []
    with pytest.raises(ValueError, match="fails"):
        fail(out, seen, **{how: True})
    assert ("log.jsonl" in seen) == (how == "resume")
    assert (partial / "log.jsonl").read_text() == "new"
    assert [path.name for path in out.parent.iterdir() if "lock" not in path.name] == [
        "out.partial"
    ]


def test_what_was_set_aside_goes_when_there_is_something_new(out):
    begin(out)
    begin(out, overwrite=True, write="other.jsonl")
    seen = []
    with pytest.raises(ValueError, match="fails"):
        fail(out, seen, resume=True)
    assert seen == [BEGUN, "other.jsonl"]
    assert not out.with_name(".out.partial").exists()


def test_of_another_command_nothing_is_gone_on_with(out):
    begin(out)
    with (
        pytest.raises(ResultsError, match="holds no comparison to resume"),
        new_folder(out, "compare", resume=True),
    ):
        pass


@pytest.mark.parametrize("write", [None, "log.jsonl"])
def test_an_interrupted_command_says_how_to_go_on(out, write):
    def interrupted():
        with new_folder(out, "train") as place:
            if write:
                (place.path / write).write_text("new")
            raise Interrupted(15)

    with pytest.raises(Interrupted) as raised:
        interrupted()
    expected = f"what is done is kept: --out {out} --resume goes on with it" if write else ""
    assert raised.value.advice == expected
