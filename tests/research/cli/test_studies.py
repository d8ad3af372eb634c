import json

import pandas as pd
import pytest

from research.cli import main
from research.studies import freezeout, wide_resnet

DENSE = ["--model", "densenet", "--depth", "10", "--growth-rate", "4", "--batch-size", "15"]


def test_the_study_of_freezeouts_claims(colours, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(freezeout, "HOW_SCALE", ("cubic",))
    monkeypatch.setattr(freezeout, "STARTS", (0.5,))
    out = tmp_path / "out"
    options = ["--study", "freezeout", "--data", colours, *DENSE[2:], "--iterations", "6"]
    assert main(["compare", *options, "--out", str(out)]) == 0
    assert "schedules stay within 3 % relative error" in capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    assert {"study.csv", "study.png", "report.html", "summary.csv"} <= names
    table = pd.read_csv(out / "study.csv")
    assert table.schedule.tolist() == [
        "annealed (nothing frozen)",
        "cubic, scaled, t_0 0.5",
        "cubic, unscaled, t_0 0.5",
    ]
    assert table["predicted saving, %"].iloc[1] > 30
    assert table["published estimate, %"].iloc[1] == pytest.approx(36.9, abs=0.1)
    assert pd.read_csv(out / "summary.csv").baseline.tolist()[1:] == ["annealed"] * 2
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    expected = ("freezeout", "densenet", 10)
    assert tuple(settings[name] for name in ("study", "model", "depth")) == expected
    assert not {"t_0", "how_scale", "scale_lr"} & set(settings)
    before = (out / "study.csv").read_text()
    (out / "study.png").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "study.png").exists()
    assert (out / "study.csv").read_text() == before
    capsys.readouterr()


def test_the_study_of_wide_resnets(colours, tmp_path, capsys, monkeypatch, fails):
    monkeypatch.setattr(wide_resnet, "WIDTHS", (1, 2))
    kept = {name: wide_resnet.TYPES[name] for name in ("B(3,3)", "B(1,3,1)")}
    monkeypatch.setattr(wide_resnet, "TYPES", kept)
    out = tmp_path / "out"
    options = ["--study", "wide-resnet", "--data", colours, "--depth", "10", "--iterations", "3"]
    options += ["--batch-size", "8", "--seeds", "2", "--out", str(out)]
    assert main(["compare", *options]) == 0
    printed = capsys.readouterr().out
    assert "From WRN-10-1 to WRN-10-2, the median error goes from" in printed
    table = pd.read_csv(out / "study.csv")
    assert table.network.tolist() == ["WRN-10-1", "WRN-10-2", "WRN-16-2 B(1,3,1)"]
    assert table["in the paper, %"].tolist()[1:] == [5.73, 6.06]
    assert (table["parameters, M"].diff()[1:2] > 0).all()
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    expected = {"weight_decay": 5e-4, "milestones": [0.3, 0.6, 0.8], "gamma": 0.2, "depth": 10}
    assert {name: settings[name] for name in expected} == expected
    assert (out / "study.png").stat().st_size > 10_000
    page = (out / "report.html").read_text()
    assert "From WRN-10-1 to WRN-10-2" in page
    assert "Difference: to the matched baseline" not in page  # nothing has one
    assert main(["report", str(out)]) == 0
    for option in (["--block", "B(3,1)"], ["--model", "wideresnet"], ["--widen-factor", "3"]):
        assert "has runs of its own" in fails(2, "compare", *options, *option)
