import json
import re
import shutil
import webbrowser

import keras
import pandas as pd
import pytest

from batch import FreezeOut
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


def test_figures_for_a_paper_are_written_when_they_are_asked_for(compared, capsys):
    assert not (compared / "figures").exists()
    assert main(["report", str(compared), "--format", "svg"]) == 0
    assert "Figures for a paper: figures/*.svg beside the report" in capsys.readouterr().out
    names = {path.name for path in (compared / "figures").iterdir()}
    shutil.rmtree(compared / "figures")
    stems = ("frontier", "paired", "loss", "rates", "frozen", "saving", "confusion")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "csv")}


def test_the_rates_that_were_in_force_are_recorded_once_a_method(compared):
    record = json.loads((compared / "experiment.json").read_text())
    known = {run["method"]: run["rates"] for run in record["runs"] if "rates" in run}
    assert [run["seed"] for run in record["runs"] if "rates" in run] == [0] * len(known)
    assert set(known) == set(record["methods"])
    assert len(known["classic"]) == 1
    first = next(iter(known["freezeout"].values()))
    blocks = len(first.split()) - 1
    schedule = FreezeOut(blocks, 4, 0.06, t_0=0.6, degree=1, scaled=False)
    for iteration, rates in known["freezeout"].items():
        expected = schedule(int(iteration))
        assert list(map(float, rates.split())) == pytest.approx([*expected, expected[-1]], rel=1e-5)


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
