import json
import re

import keras
import pandas as pd
import pytest

from research.cli import main
from research.running.metrics import read_metrics
from research.running.run import Run

SMALL = ["--iterations", "4", "--batch-size", "40"]
WIDE = ["--model", "wideresnet", "--depth", "10", "--widen-factor", "1"]
DENSE = ["--model", "densenet", "--depth", "10", "--growth-rate", "4", "--batch-size", "15"]
WATCHED = ["--eval-every", "3", "--eval-batches", "2", "--metrics", "cross_entropy,top2"]


@pytest.mark.usefixtures("small_networks")
def test_what_a_cache_kept_is_in_the_record_and_the_report(tmp_path):
    out = tmp_path / "out"
    options = ["--method", "freezeout", "--preset", "thrifty", "--cache", "memory"]
    assert main(["train", *SMALL, "--iterations", "12", *options, "--out", str(out)]) == 0
    record = json.loads((out / "experiment.json").read_text())
    (run,) = record["runs"]
    assert 0 < run["cache"]["asked"] <= 12 * 40
    assert run["cache"]["bytes"] > 0
    assert (record["settings"]["cache"], record["settings"]["how_scale"]) == ("memory", "cubic")
    assert main(["report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "kept of frozen blocks" in page
    assert f">{run['cache']['asked']}</td>" in page


def test_train_another_model_with_stochastic_depth(colours, tmp_path):
    out = tmp_path / "out"
    options = ["--method", "stochastic", "--survival", "0.3", "--data", colours, *WIDE]
    assert main(["train", *SMALL, "--iterations", "2", *options, "--out", str(out)]) == 0
    record = json.loads((out / "experiment.json").read_text())
    assert (record["settings"]["survival"], record["settings"]["model"]) == (0.3, "wideresnet")
    assert record["predicted_ratio"]["stochastic"] < 0.8
    network = keras.saving.load_model(out / "model.keras")
    assert network.layers[-2].survival == pytest.approx(0.3)
    assert int(network.layers[1].steps) == 2


def test_freezeout_as_published(colours, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--data", colours, *DENSE, "--method", "freezeout", "--epochs", "3"]
    assert main(["train", *options, "--out", str(out)]) == 0
    (path,) = out.glob("*.jsonl")
    assert path.name == "densenet_k4L10_ice80_cubicTrue_seed0_epochs3_colours_log.jsonl"
    lines = read_metrics(path)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert set(lines[0]) >= {"train_loss", "val_loss", "val_err", "active", "seconds"}
    assert [line["active"] for line in lines] == [6, 5, 1]
    printed = capsys.readouterr()
    (line,) = [line for line in printed.err.splitlines() if line.startswith("colours: ")]
    assert line.startswith("colours: 60 + 9 images of 8×8×3, uint8 from 0 to 255 (divided by 255)")
    assert line.endswith("3 classes of 20 examples each")
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    expected = {"weight_decay": 1e-4, "learning_rate": 0.1, "momentum": 0.9, "t_0": 0.8}
    expected |= {"how_scale": "cubic", "scale_lr": True, "augment": True, "normalize": True}
    expected |= {"depth": 10, "growth_rate": 4, "iterations": 12, "batch_size": 15}
    assert {name: settings[name] for name in expected} == expected
    assert "test accuracy" in printed.out


def test_options_in_place_of_the_papers(colours, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--t-0", "0.5", "--how-scale", "linear", "--no-scale-lr", "--no-augment"]
    options += ["--const-time", "--save-weights", "mine", "--seed", "2"]
    arguments = ["--data", colours, *DENSE, "--method", "freezeout", "--iterations", "12"]
    assert main(["train", *arguments, *options, "--out", str(out)]) == 0
    names = sorted(path.name for path in out.iterdir())
    expected = ["experiment.json", "loss.png", "mine.jsonl", "mine.keras"]
    assert names == [*expected, "report.html", "results.csv"]
    record = json.loads((out / "experiment.json").read_text())
    settings = record["settings"]
    assert settings["iterations"] == 12
    assert "freeze_iterations" not in settings
    assert 12 < record["iterations"]["freezeout"] < 24
    assert record["predicted_ratio"]["freezeout"] == pytest.approx(1, abs=0.05)
    assert len(pd.read_csv(out / "results.csv")) == record["iterations"]["freezeout"]
    assert (settings["scale_lr"], settings["augment"], settings["const_time"]) == (0, 0, 1)
    capsys.readouterr()


@pytest.mark.usefixtures("small_networks")
def test_views_of_a_part_of_the_images(colours, tmp_path, capsys, monkeypatch, fails):
    out = tmp_path / "out"
    arguments = [
        "train",
        "--data",
        colours,
        "--batch-size",
        "10",
        "--epochs",
        "1",
        "--out",
        str(out),
    ]
    arguments += ["--augment", "--views", "2", "--train-images"]
    message = "train_images must be at most the 60 of the training split of colours. Received: 61"
    assert message in fails(1, *arguments, "61")
    assert "as 3 do. Received: 2, which leave none of class 2" in fails(1, *arguments, "2")
    monkeypatch.setattr("research.experiments.splits.HELD_OUT", 20)  # they are taken first
    assert "must be at most the 40 of" in fails(1, *arguments, "41", "--validate", "val")
    assert not out.exists()
    assert main([*arguments, "30"]) == 0
    assert "colours: 30 + 9 images of 8×8×3" in capsys.readouterr().err
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    expected = {"train_images": 30, "augment": True, "views": 2, "iterations": 3}
    assert {name: settings[name] for name in expected} == expected


@pytest.mark.usefixtures("small_networks")
def test_an_epoch_has_the_iterations_it_takes(tmp_path, capsys):
    out = tmp_path / "epochs"
    assert main(["train", "--epochs", "2", "--batch-size", "1000", "--out", str(out)]) == 0
    assert len(pd.read_csv(out / "results.csv")) == 3  # 2 · 1347 / 1000, rounded up
    capsys.readouterr()


def test_training_with_evaluation_prints_lines(colours, tmp_path, capsys, fails):
    out = tmp_path / "out"
    arguments = ["train", "--data", colours, "--model", "wideresnet", "--depth", "10"]
    arguments += ["--batch-size", "4", "--iterations", "7", *WATCHED]
    arguments += ["--tensorboard", str(tmp_path / "events"), "--out", str(out)]
    assert main(arguments) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    number = r"[\d.]+"
    patterns = [
        rf"step {step}: ran {steps} steps in {number} s \| train cross_entropy {number} \| "
        rf"eval cross_entropy {number}, top2 {number}"
        for step, steps in ((1, 1), (3, 2), (6, 3), (7, 1))
    ]
    assert all(re.fullmatch(*pair) for pair in zip(patterns, lines, strict=True))
    (path,) = out.glob("*.jsonl")
    assert [line["iteration"] for line in read_metrics(path)] == [1, 3, 6, 7]
    assert list(read_metrics(path)[0]["eval"]) == ["cross_entropy", "top2"]
    assert len(list((tmp_path / "events").iterdir())) == 1
    assert "holds curves of another run" in fails(1, *arguments[:-1], str(tmp_path / "two"))


def test_metrics_survive_a_crash(colours, tmp_path, capsys, monkeypatch, fails):
    out = tmp_path / "out"
    arguments = ["train", "--data", colours, *DENSE, "--epochs", "2", "--out", str(out)]

    def crash(*_):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_test", crash)
        assert main(arguments) == 1
    assert "power cut" in capsys.readouterr().err.splitlines()[-1]
    (path,) = (tmp_path / "out.partial").glob("*.jsonl")
    assert [line["epoch"] for line in read_metrics(path)] == [1, 2]
    path.write_text(path.read_text() + '{"epoch": 3, "train_')
    assert len(read_metrics(path)) == 2
    message = fails(1, *arguments)
    assert "what an interrupted run left: --resume that, move it, or" in message
    assert "no file" in fails(1, *arguments, "--data", "missing.npz", "--overwrite")
    assert len(read_metrics(path)) == 2  # still there
    assert main([*arguments, "--overwrite"]) == 0
    assert not (tmp_path / "out.partial").exists()
    assert len(read_metrics(out / path.name)) == 2


def test_a_run_is_resumed_after_a_crash(colours, tmp_path, capsys, monkeypatch, fails):
    arguments = ["train", "--data", colours, *DENSE, "--iterations", "10"]
    arguments += ["--eval-every", "2", "--checkpoint-every", "3"]
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    out = tmp_path / "out"
    iterate = Run._iterate

    def crash(self):
        if len(self.history) == 8:
            raise RuntimeError("power cut")
        iterate(self)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_iterate", crash)
        assert main([*arguments, "--out", str(out)]) == 1
    capsys.readouterr()
    assert {"checkpoints"} < {path.name for path in (tmp_path / "out.partial").iterdir()}
    assert "--resume that, move it, or" in fails(1, *arguments, "--out", str(out))
    resume = [*arguments, "--out", str(out), "--resume"]
    assert "settings: seeds 0 there, 4 here" in fails(1, *resume, "--seed", "4")
    assert main(resume) == 0
    capsys.readouterr()
    ours, theirs = (pd.read_csv(tmp_path / name / "results.csv") for name in ("out", "whole"))
    assert ours.loss.tolist() == theirs.loss.tolist()
    logs = [next((tmp_path / name).glob("*.jsonl")) for name in ("out", "whole")]
    ours, theirs = (
        [(line["iteration"], line["train_loss"], line["val_err"]) for line in read_metrics(log)]
        for log in logs
    )
    assert ours == theirs
    kept = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert kept == ["00000003", "00000006", "00000009"]
    assert main(resume) == 0
    assert "out is finished: nothing is left to do" in capsys.readouterr().out
    assert "settings: batch_size" in fails(1, *resume, "--batch-size", "5")
    named = [*arguments, "--out", f"{out}.partial", "--resume"]
    assert "name it without .partial" in fails(1, *named)
    out.rename(tmp_path / "out.partial")
    (tmp_path / "out.partial" / "mine.txt").touch()
    assert "something else than results" in fails(1, *resume)
    (tmp_path / "out.partial" / "mine.txt").unlink()
    out.mkdir()
    assert "holds earlier results: move them" in fails(1, *resume)
    fresh = [*arguments, "--keep-checkpoints", "1", "--out", str(tmp_path / "new"), "--resume"]
    assert main(fresh) == 0  # nothing there: from the beginning
    assert len(list((tmp_path / "new" / "checkpoints").iterdir())) == 1
