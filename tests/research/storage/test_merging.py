import json
import types

import pytest

from research.page.report import write_report
from research.storage import merging, results
from utils import History

SETTINGS = {"command": "train", "data": "digits", "iterations": 2, "batch_size": 8}
ENVIRONMENT = {"processor": "one", "threads": "2", "keras": "3"}


@pytest.fixture
def folder(tmp_path):
    """A function that saves a run of two iterations, and names its folder."""

    def make(name, method="classic", seed=0, processor="one", methods=None, **settings):
        path = tmp_path / name
        path.mkdir(parents=True)
        history = History(method, seed, [1.0] * 2, [0.5] * 2, [0] * 2, 0.9 + seed / 100)
        told = {**SETTINGS, **settings, "methods": [method], "seeds": [seed]}
        machine = {**ENVIRONMENT, "processor": processor}
        recorded = {"methods": methods} if methods else {}  # older folders have none
        results.save(path, [history], told, machine, {method: 1.0}, **recorded)
        return path

    return make


def together(*folders):
    histories, record = merging.together(folders, [results.read(one) for one in folders])
    return [one.method for one in histories], types.SimpleNamespace(**record)


def test_runs_that_differ_in_method_and_seed_are_compared(folder):
    pairs = [("annealed", 1), ("classic", 1), ("annealed", 0), ("classic", 0)]
    folders = [folder(f"{method}{seed}", method, seed) for method, seed in pairs]
    methods, record = together(*folders)
    assert methods == ["classic", "annealed"] * 2
    assert record.settings["seeds"] == [0, 1]
    assert "matched" not in record.settings


def test_own_methods_of_one_name_that_are_not_the_same_are_kept_apart(folder):
    facts = {"method": "mine.py:HALVING", "baseline": None, "action": "train_res", "options": []}
    folders = [
        folder(sha256, "halving", seed, methods={"halving": {**facts, "sha256": sha256}})
        for seed, sha256 in enumerate("ab")
    ]
    methods, record = together(*folders)
    assert methods == ["a: halving", "b: halving"]
    assert record.settings["matched"] is False


def test_a_cache_counts_where_both_may_have_one(folder):
    plain, kept = folder("one"), folder("two", "freezeout", cache="memory")
    assert together(plain, kept)[0] == ["classic", "freezeout"]
    numbers = [folder(f"{memory}", "freezeout", memory, cache=memory) for memory in (5, 6)]
    assert together(*numbers)[0] == ["freezeout"] * 2  # 'auto', when there was so much memory
    older = folder("three", "annealed", cache="auto")  # all folders said it once
    assert together(older, kept)[0] == ["three: annealed", "two: freezeout"]


@pytest.mark.parametrize(
    "changed",
    [
        {"iterations": 3},
        {"learning_rate": 0.5},  # which the other leaves to the method
        {"const_time": True},
        {"processor": "two"},
        {"freeze_iterations": 1},
    ],
)
def test_what_only_one_of_two_has_is_a_difference(folder, changed):
    own = {"freeze_iterations": 2} if "freeze_iterations" in changed else {}
    folders = folder("one", "annealed", **own), folder("two", "freezeout", **changed)
    methods, record = together(*folders)
    assert methods == ["one: annealed", "two: freezeout"]
    assert record.settings["matched"] is False
    assert not set(changed) & {*record.settings, *record.environment}


@pytest.mark.parametrize(("name", "value"), [("margin", 0.5), ("target", 98.5)])
def test_a_margin_or_a_target_counts_where_both_have_it(folder, name, value):
    silent, given = folder("one"), folder("two", "freezeout", **{name: value})
    methods, record = together(silent, given)
    assert methods == ["classic", "freezeout"]
    assert record.settings[name] == value
    other = folder("three", "annealed", **{name: value / 2})
    assert together(given, other)[0] == ["two: freezeout", "three: annealed"]


def test_what_only_one_method_has_a_use_for_is_none(folder):
    folders = [
        folder("one", "annealed", finetune_rate=0.1),
        folder("two", "freezeout", finetune_rate=0.1, t_0=0.5),
        folder("three", "classic", milestones=[0.5], gamma=0.1),
    ]
    methods, record = together(*folders)
    assert methods == ["classic", "annealed", "freezeout"]
    assert record.settings["t_0"] == 0.5


def test_a_method_of_a_users_own_is_known_from_the_record(folder, tmp_path):
    own = {"method": "mine.py:OWN", "baseline": "classic", "action": "train_res"}
    own = {"own": {**own, "options": ["t_0"]}}
    folders = [
        folder("one", "own", methods=own, t_0=0.5, gamma=0.3),
        folder("two", "freezeout", t_0=0.5, finetune_rate=0.1),
        folder("three", "classic", seed=0),
    ]
    methods, record = together(*folders)
    assert methods == ["classic", "freezeout", "own"]
    assert record.settings["methods"] == ["classic", "freezeout", "mine.py:OWN"]
    assert {label: facts["baseline"] for label, facts in record.methods.items()} == {
        **{"classic": None, "freezeout": "annealed", "own": "classic"},
    }
    methods, record = together(folder("four", "freezeout", t_0=0.6), folders[0])
    assert methods == ["four: freezeout", "one: own"]  # t_0, which both read, differs
    assert all(facts["baseline"] is None for facts in record.methods.values())


def test_folders_of_one_name_are_told_apart_by_their_paths(folder):
    folders = folder("a/run"), folder("b/run")
    methods, _ = together(*folders)
    assert methods == [f"{one}: classic" for one in folders]
    with pytest.raises(results.ResultsError, match="named twice"):
        together(folders[0], folders[0])


def test_a_page_of_runs_that_do_not_match_says_so(folder, tmp_path):
    folders = folder("one", iterations=3), folder("two", data="mnist")
    histories, record = merging.together(folders, [results.read(one) for one in folders])
    results.save(tmp_path, histories, **record)
    histories, record = results.read(tmp_path)
    write_report(tmp_path, histories, record)
    page = (tmp_path / "report.html").read_text()
    assert "<h1>One: classic, two: classic</h1>" in page
    assert "2 iterations of 8 images" in page
    assert "These runs differ in more than their methods" in page
    assert "share each seed" not in page
    assert "data" not in json.loads((tmp_path / "experiment.json").read_text())["settings"]


@pytest.fixture
def comparison(tmp_path):
    """A function that saves a comparison of classic and annealed, and names its folder."""

    def make(name, seeds, processor="one", facts=None, predicted=0.5, **settings):
        path = tmp_path / name
        path.mkdir()
        labels = settings.pop("labels", ("classic", "annealed"))
        histories = [
            History(label, seed, [1.0], [1.0 + seed], [0], 0.9 + seed / 100)
            for seed in seeds
            for label in labels
        ]
        asked = {**SETTINGS, "command": "compare", "methods": list(labels), "seeds": list(seeds)}
        machine = {**ENVIRONMENT, "processor": processor}
        ratios = dict.fromkeys(labels, predicted)
        results.save(path, histories, {**asked, **settings}, machine, ratios, **(facts or {}))
        return path

    return make


def join(*folders):
    return merging.joined(folders, [results.read(folder) for folder in folders])


def test_comparisons_on_other_seeds_are_joined_whatever_their_machines(comparison, tmp_path):
    facts = {"data": "60 images", "iterations": {"classic": 1, "annealed": 1}}
    one = comparison("one", (3, 4), data="/there/data.npz", facts={**facts, "data_sha256": "same"})
    two = comparison("two", (0, 1), "two", {**facts, "data_sha256": "same"}, predicted=0.6)
    histories, record = join(one, two)
    assert [(run.method, run.seed) for run in histories] == [
        (method, seed) for seed in (0, 1, 3, 4) for method in ("classic", "annealed")
    ]
    assert record["settings"]["seeds"] == [0, 1, 3, 4]
    assert record["environment"] == {**ENVIRONMENT, "processor": "one; two"}
    assert record["predicted_ratio"] == {"classic": 0.55, "annealed": 0.55}
    assert {name: record[name] for name in facts} == facts
    out = tmp_path / "out"
    out.mkdir()
    results.save(out, histories, **record)
    assert results.read(out)[0] == histories
    write_report(out, *results.read(out))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"seeds": (1, 2)}, "both have seed 1$"),
        ({"iterations": 3}, r"they differ in iterations \(2 and 3\)$"),
        ({"labels": ("classic",)}, r"methods \(classic, annealed and classic\)$"),
        ({"facts": {"data_sha256": "b"}}, r"they differ in data \(digits and digits\)$"),
        ({"margin": 0.3}, r"margin \(0\.1 and 0\.3\)$"),
        ({"matched": False}, "two holds no comparison"),
        ({"command": "train"}, "two holds no comparison"),
    ],
)
def test_what_is_no_part_of_one_comparison_is_not_joined(comparison, changed, text):
    one = comparison("one", (0, 1), facts={"data_sha256": "a"}, margin=0.1)
    two = comparison("two", changed.pop("seeds", (2, 3)), **changed)
    with pytest.raises(results.ResultsError, match=text):
        join(one, two)
    with pytest.raises(results.ResultsError, match="named twice"):
        join(one, one)
