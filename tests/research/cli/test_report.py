import json
import re
import webbrowser

import keras
import pandas as pd
import pytest

from research.cli import main

FILES = ["experiment.json", "loss.png", "report.html", "results.csv"]
SMALL = ["--iterations", "4", "--batch-size", "40"]
SURVIVAL = ["--survival", "0.5"]


def test_the_report_stands_alone(compared):
    page = (compared / "report.html").read_text()
    wrong = page.count(", taken for ") // 2
    assert len(re.findall('<img src="data:image/png;base64,', page)) == wrong > 0
    assert page.count("<svg") == page.count("<figcaption>") - wrong > 4
    assert "freezeout against annealed:" in page
    assert "95 % interval" in page
    for word in ("tensorflow", "processor", "batch_size"):
        assert word in page


def test_report_draws_again_without_training(compared, capsys):
    before = (compared / "results.csv").read_bytes()
    for name in ("report.html", "loss.png"):
        (compared / name).unlink()
    assert main(["report", str(compared)]) == 0
    assert (compared / "report.html").exists()
    assert (compared / "loss.png").exists()
    assert (compared / "results.csv").read_bytes() == before
    assert "freezeout" in capsys.readouterr().out


@pytest.mark.parametrize("opens", [True, False, webbrowser.Error("none")])
def test_a_report_is_opened_where_there_is_a_browser(compared, monkeypatch, capsys, opens):
    asked = []

    def opened(address):
        asked.append(address)
        if isinstance(opens, Exception):
            raise opens
        return opens

    monkeypatch.setattr(webbrowser, "open", opened)
    assert main(["report", str(compared), "--open"]) == 0
    assert asked == [(compared / "report.html").as_uri()]
    said = capsys.readouterr().out
    assert ("There is no browser here to open it with: /" in said) == (opens is not True)


@pytest.mark.usefixtures("small_networks")
def test_train_and_a_report_of_several_runs(tmp_path, capsys, monkeypatch):
    folders = []
    for method, options in {"classic": [], "annealed": [], "stochastic": SURVIVAL}.items():
        out, options = tmp_path / method, [*SMALL, *options, "--seed", "3"]
        assert main(["train", *options, "--method", method, "--out", str(out)]) == 0
        metrics = f"resnet_{method}_seed3_iterations4_digits_log.jsonl"
        names = sorted(path.name for path in out.iterdir())
        assert names == sorted([*FILES, "model.keras", metrics])
        assert len(pd.read_csv(out / "results.csv")) == 4
        folders.append(str(out))
    network = keras.saving.load_model(tmp_path / "classic" / "model.keras")
    assert network.output_shape == (None, 10)
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert main(["report", *folders, "--out", str(tmp_path / "all"), "--open"]) == 0
    assert opened == [(tmp_path / "all" / "report.html").as_uri()]
    table = pd.read_csv(tmp_path / "all" / "summary.csv")
    assert table.method.tolist() == ["classic", "annealed", "stochastic"]
    assert table.baseline.tolist()[1:] == ["classic", "classic"]
    record = json.loads((tmp_path / "all" / "experiment.json").read_text())
    assert record["settings"]["survival"] == 0.5
    assert record["in_force"]["stochastic"]["survival"] == 0.5
    assert record["in_force"]["annealed"]["schedule"]["learning_rate"] == 0.06
    assert "survival" not in json.loads((tmp_path / "classic" / "experiment.json").read_text())
    assert record["data"].startswith("digits: 1,347 + 450 images")
    assert main(["report", folders[0], folders[0], "--out", str(tmp_path / "twice")]) == 1
    assert "A folder is named twice" in capsys.readouterr().err
    assert main(["report", folders[0]]) == 0
    capsys.readouterr()
