import json

import pytest

from research.cli import main
from research.commands.predicting import predictions
from research.page import report
from research.storage import results
from utils import History

FOREIGN = "<script>alert('$x')</script>&\"$"


def facts():
    return {"method": FOREIGN, "baseline": None, "action": "train_res", "options": [FOREIGN]}


@pytest.fixture
def folder(tmp_path):
    """A folder of results in which every text is foreign."""
    history = History(FOREIGN, 0, [1.0, 0.5], [0.1, 0.1], [0, 1], accuracy=0.5)
    settings = {"command": "train", "methods": [FOREIGN], "seeds": [0], FOREIGN: FOREIGN}
    more = {"methods": {FOREIGN: facts()}, "data": FOREIGN, "classes": [FOREIGN] * 2}
    mistakes = {"confusion": [[1, 2], [3, 4]], "worst": []}
    history.mistakes = mistakes
    results.save(tmp_path, [history], settings, {FOREIGN: FOREIGN}, {FOREIGN: 1.0}, **more)
    return tmp_path


def test_the_page_holds_no_markup_of_the_files(folder):
    report.write_report(folder, *results.read(folder))
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1  # the page's own
    assert "&lt;script&gt;alert(&#39;$x&#39;)" in page


DAMAGED = {
    "settings": [[], None, {}, {"command": 1}, {"command": "train", "study": "../x"}],
    "settings/margin": [{"command": "compare", "margin": value} for value in ("x", 0, [0.1])],
    "settings/target": [{"command": "compare", "target": value} for value in ("x", -1)],
    "settings/test_images": [{"command": "compare", "test_images": "x"}],
    "environment": ["x"],
    "predicted_ratio": [{"a": "x"}, {"a": -1}, []],
    "methods": [{"a": {}}, {"a": {**facts(), "options": [1]}}, [1]],
    "in_force": ["x", {"a": 1}],
    "runs": [[], {}, [{"method": "a", "seed": -1, "accuracy": 2}]],
    "runs/target": [
        [{"method": FOREIGN, "seed": 0, "accuracy": 0.5, "target": target}]
        for target in ([], {}, {"seconds": "x"}, {"seconds": -1})
    ],
    "runs/rates": [
        [{"method": FOREIGN, "seed": 0, "accuracy": 0.5, "rates": rates}]
        for rates in (
            *([], {}, {"x": "1 1"}, {"0": 1}, {"0": "-1 1"}, {"0": "nan 1"}, {"0": "1x 1"}),
            *({"0": "1 1", "2": "1"}, {"2": "1 1", "0": "1 1"}),
        )
    ],
    "classes": [[1], "ab"],
    "grid": [[1], {"a": 1}, {"a": {"t_0": [1]}}],
}


@pytest.mark.parametrize("key", DAMAGED)
def test_a_damaged_folder_gives_one_line(folder, key, capsys):
    whole = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
    for value in DAMAGED[key]:
        text = json.dumps({**whole, key.partition("/")[0]: value})
        (folder / "experiment.json").write_text(text, encoding="utf-8")
        assert main(["report", str(folder)]) == 1
        line = capsys.readouterr().err
        assert line.startswith(f"resbatch: {folder} holds no results of resbatch compare or train")
        assert line.count("\n") == 1


@pytest.mark.parametrize("text", ["[" * 10**5, "{}", "[]", "1", "\0", '{"settings": 1e999}'])
def test_a_file_of_another_kind_gives_one_line(folder, text, capsys):
    (folder / "experiment.json").write_text(text, encoding="utf-8")
    assert main(["report", str(folder)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_what_can_not_be_drawn_is_said(folder, monkeypatch, capsys):
    monkeypatch.setattr(report, "figures_of", lambda *_: [][0])
    assert main(["report", str(folder)]) == 1
    assert "can't be drawn, and may be damaged: IndexError" in capsys.readouterr().err


@pytest.mark.parametrize("weights", ["../model.keras", "/model.keras", 3])
def test_a_record_names_no_network_elsewhere(folder, weights):
    trained = {"weights": weights, "shape": [4, 4, 1], "classes": ["a", "b"], "normalize": None}
    (folder / "experiment.json").write_text(json.dumps({"network": trained}), encoding="utf-8")
    with pytest.raises(results.ResultsError, match="with the network that it trained"):
        predictions(folder, ["a.png"])
