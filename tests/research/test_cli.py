import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from batch.data.blk import read_blk
from batch.models.named import MODELS
from batch.schedules.freezeout import DEGREES
from research import names, recipes
from research.cli import main
from research.experiment import Experiment
from research.metrics import read_metrics
from research.run import Run
from research.studies import freezeout, wide_resnet

SUMMARY = (
    "method,seeds,accuracy_mean,accuracy_std,seconds_mean,seconds_ratio,predicted_ratio,baseline,"
    "difference,ci_low,ci_high"
)
SMALL = ["--iterations", "4", "--batch-size", "40"]
DENSE = ["--model", "densenet", "--depth", "10", "--growth-rate", "4", "--batch-size", "15"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A folder that `resbatch compare` wrote."""
    out = tmp_path_factory.mktemp("cli") / "compared"
    assert main(["compare", *SMALL, "--seeds", "2", "--out", str(out)]) == 0
    return out


@pytest.fixture
def colours(tmp_path):
    """The path of 60 small colour images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(60) % 3
    path = tmp_path / "colours.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    return str(path)


def fails(capsys, status, *arguments):
    """The one line on standard error of a command that fails with a status."""
    try:
        ended = main(list(arguments))
    except SystemExit as stopped:
        ended = stopped.code
    assert ended == status
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("resbatch")
    return lines[0]


def test_compare_writes_five_files_and_nothing_else(compared):
    names = sorted(path.name for path in compared.iterdir())
    assert names == ["experiment.json", "loss.png", "report.html", "results.csv", "summary.csv"]
    assert [path.name for path in compared.parent.iterdir()] == ["compared"]


def test_results_have_a_row_an_iteration(compared):
    assert (
        (compared / "results.csv")
        .read_text()
        .startswith("method,seed,iteration,loss,seconds,frozen\n")
    )
    rows = pd.read_csv(compared / "results.csv")
    assert len(rows) == 4 * 2 * 4
    runs = rows.groupby(["method", "seed"]).iteration.apply(tuple)
    assert set(runs) == {(0, 1, 2, 3)}
    freezeout = rows[(rows.method == "freezeout") & (rows.seed == 0)]
    assert freezeout.frozen.tolist() == [0, 0, 0, 2]


def test_summary_has_a_row_a_method(compared):
    assert (compared / "summary.csv").read_text().startswith(SUMMARY + "\n")
    summary = pd.read_csv(compared / "summary.csv").set_index("method")
    assert summary.index.tolist() == ["classic", "annealed", "freezeout", "stochastic"]
    assert summary.seeds.tolist() == [2, 2, 2, 2]
    assert summary.baseline.tolist()[1:] == ["classic", "annealed", "classic"]
    assert summary.loc["freezeout", "predicted_ratio"] < 1
    assert summary.loc["stochastic", "predicted_ratio"] == pytest.approx(0.749, abs=5e-4)
    assert np.isnan(summary.loc["classic", "difference"])


def test_experiment_has_what_it_takes_to_run_again(compared):
    record = json.loads((compared / "experiment.json").read_text())
    assert record["settings"]["methods"] == ["classic", "annealed", "freezeout", "stochastic"]
    assert record["settings"]["survival"] == 0.6
    assert record["settings"]["seeds"] == [0, 1]
    assert record["settings"]["iterations"] == 4
    assert record["settings"]["batch_size"] == 40
    assert record["environment"]["tensorflow"]
    assert int(record["environment"]["threads"]) >= 1


def test_the_report_stands_alone(compared):
    page = (compared / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page
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
    assert f"<td>{run['cache']['asked']}</td>" in page


def test_bench_writes_a_table(tmp_path, monkeypatch, capsys):
    from research.benchmarks import growth
    from research.benchmarks.harness import compared

    rows = [compared("a", np.ones(2), "b", np.ones(2))]
    monkeypatch.setattr(growth, "measure", lambda *_: rows)
    assert main(["bench", "growth", "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "bench.csv",
        "bench.md",
        "experiment.json",
    }
    assert "bench.md" in capsys.readouterr().out


def test_train_another_model_with_stochastic_depth(tmp_path):
    out = tmp_path / "out"
    options = ["--method", "stochastic", "--survival", "0.3", "--model", "resnet18"]
    assert main(["train", *SMALL, "--iterations", "2", *options, "--out", str(out)]) == 0
    record = json.loads((out / "experiment.json").read_text())
    assert (record["settings"]["survival"], record["settings"]["model"]) == (0.3, "resnet18")
    assert record["predicted_ratio"]["stochastic"] < 0.8
    network = keras.saving.load_model(out / "model.keras")
    assert network.layers[-2].survival == pytest.approx(0.3)
    assert int(network.layers[1].steps) == 2


def test_names_for_the_command_line_are_those_of_the_package():
    for model, options in recipes.MODEL_OPTIONS.items():
        assert set(options) == set(MODELS[model].DEFAULTS)
    assert set(names.HOW_SCALE) == set(DEGREES)
    assert tuple(MODELS) == names.MODELS
    assert Experiment().survival == 0.6


def test_train_and_a_report_of_several_runs(tmp_path, capsys):
    folders = []
    options = ["--survival", "0.5", "--seed", "3"]
    for method in ("classic", "annealed", "stochastic"):
        out = tmp_path / method
        assert main(["train", *SMALL, *options, "--method", method, "--out", str(out)]) == 0
        metrics = f"resnet_{method}_seed3_iterations4_digits_log.jsonl"
        names = sorted(path.name for path in out.iterdir())
        assert names == ["experiment.json", "model.keras", metrics, "results.csv"]
        assert len(pd.read_csv(out / "results.csv")) == 4
        folders.append(str(out))
    network = keras.saving.load_model(tmp_path / "classic" / "model.keras")
    assert network.output_shape == (None, 10)
    assert main(["report", *folders, "--out", str(tmp_path / "all")]) == 0
    table = pd.read_csv(tmp_path / "all" / "summary.csv")
    assert table.method.tolist() == ["classic", "annealed", "stochastic"]
    assert table.baseline.tolist()[1:] == ["classic", "classic"]
    record = json.loads((tmp_path / "all" / "experiment.json").read_text())
    assert record["settings"]["survival"] == 0.5
    assert "survival" not in json.loads((tmp_path / "classic" / "experiment.json").read_text())
    assert main(["report", folders[0], folders[0], "--out", str(tmp_path / "twice")]) == 1
    assert "A folder is named twice" in capsys.readouterr().err
    assert main(["report", folders[0]]) == 0
    capsys.readouterr()


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
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    expected = {"weight_decay": 1e-4, "learning_rate": 0.1, "momentum": 0.9, "t_0": 0.8}
    expected |= {"how_scale": "cubic", "scale_lr": True, "augment": True, "normalize": True}
    expected |= {"depth": 10, "growth_rate": 4, "iterations": 12, "batch_size": 15}
    assert {name: settings[name] for name in expected} == expected
    assert "test accuracy" in capsys.readouterr().out


def test_options_in_place_of_the_papers(colours, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--t-0", "0.5", "--how-scale", "linear", "--no-scale-lr", "--no-augment"]
    options += ["--const-time", "--save-weights", "mine", "--seed", "2"]
    arguments = ["--data", colours, *DENSE, "--method", "freezeout", "--iterations", "12"]
    assert main(["train", *arguments, *options, "--out", str(out)]) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["experiment.json", "mine.jsonl", "mine.keras", "results.csv"]
    record = json.loads((out / "experiment.json").read_text())
    settings = record["settings"]
    assert settings["iterations"] == 12
    assert "freeze_iterations" not in settings
    assert 12 < record["iterations"]["freezeout"] < 24
    assert record["predicted_ratio"]["freezeout"] == pytest.approx(1, abs=0.05)
    assert len(pd.read_csv(out / "results.csv")) == record["iterations"]["freezeout"]
    assert (settings["scale_lr"], settings["augment"], settings["const_time"]) == (0, 0, 1)
    capsys.readouterr()


def test_a_dry_run_tells_what_a_run_will_take(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--model", "densenet", "--depth", "76", "--growth-rate", "12", "--epochs", "1"]
    assert main(["train", *options, "--method", "freezeout", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "published estimate: 17.8 %" in lines
    (saving,) = (line for line in lines if line.startswith("predicted saving: "))
    assert 15 < float(saving.split()[2]) < 25
    assert any(line.startswith("parameters: 486,298 in 39 blocks") for line in lines)  # grey images
    blocks = [line.split() for line in lines if line.startswith(("stem", "dense", "transition"))]
    assert [block[0] for block in blocks[:2]] == ["stem", "dense0"]
    assert blocks[0][3] == "14"  # 27 iterations · 0.8³, rounded up
    assert blocks[-1][3] == "–"
    (memory,) = (line for line in lines if line.startswith("memory: about "))
    assert 1.5 < float(memory.split()[2]) < 3
    assert not any(tmp_path.iterdir())


def test_a_dry_run_of_other_methods_and_networks(colours, capsys):
    arguments = ["train", "--data", colours, "--model", "vgg", "--depth", "a", "--iterations", "10"]
    assert main([*arguments, "--method", "freezeout", "--dry-run", "--const-time"]) == 0
    out = capsys.readouterr().out
    assert "published estimate: none, it is for DenseNet-BC" in out
    assert "run: freezeout, 11 iterations of 50" in out
    assert main([*arguments, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "predicted saving: 0.0 %" in out
    assert "published" not in out


def test_metrics_survive_a_crash(colours, tmp_path, capsys, monkeypatch):
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
    message = fails(capsys, 1, *arguments)
    assert "what an interrupted run left: move it" in message  # there is nothing to resume
    assert "no checkpoint to resume: move it" in fails(capsys, 1, *arguments, "--resume")
    assert "no file" in fails(capsys, 1, *arguments, "--data", "missing.npz", "--overwrite")
    assert len(read_metrics(path)) == 2  # still there
    assert main([*arguments, "--overwrite"]) == 0
    assert not (tmp_path / "out.partial").exists()
    assert len(read_metrics(out / path.name)) == 2


def test_equal_time_gives_freezeout_more_iterations(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--iterations", "20", "--batch-size", "20", "--seeds", "1", "--how-scale", "cubic"]
    methods = ["--methods", "classic,freezeout", "--equal-time"]
    assert main(["compare", *options, *methods, "--out", str(out)]) == 0
    record = json.loads((out / "experiment.json").read_text())
    assert record["iterations"]["classic"] == 20
    assert 22 <= record["iterations"]["freezeout"] <= 28
    assert record["predicted_ratio"]["freezeout"] == pytest.approx(1, abs=0.05)
    rows = pd.read_csv(out / "results.csv").groupby("method").iteration.count()
    assert rows.to_dict() == record["iterations"]
    capsys.readouterr()


@pytest.mark.usefixtures("settled_first_block")
def test_rules_of_freezing_are_compared(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--iterations", "20", "--batch-size", "20", "--seeds", "1", "--freeze-every", "2"]
    methods = ["--methods", "annealed,layerfreezing,autofreeze"]
    assert main(["compare", *options, *methods, "--out", str(out)]) == 0
    assert "autofreeze against annealed" in capsys.readouterr().out
    summary = pd.read_csv(out / "summary.csv", index_col="method")
    assert summary.baseline["layerfreezing"] == summary.baseline["autofreeze"] == "annealed"
    runs = pd.read_csv(out / "results.csv").groupby("method")
    frozen = {name: rows.frozen.max() for name, rows in runs}
    assert frozen["annealed"] == 0
    assert frozen["layerfreezing"] == 4
    assert 0 < frozen["autofreeze"] < 5
    assert summary.predicted_ratio["annealed"] == 1
    assert summary.predicted_ratio["layerfreezing"] < 1
    assert summary.predicted_ratio["autofreeze"] < 1  # told by what froze in the runs
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    assert settings["freeze_every"] == 2
    assert main(["train", "--method", "autofreeze", "--dry-run"]) == 0
    assert "predicted saving: what freezes depends on the run" in capsys.readouterr().out


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


def test_an_epoch_has_the_iterations_it_takes(tmp_path, capsys):
    out = tmp_path / "epochs"
    assert main(["train", "--epochs", "2", "--batch-size", "1000", "--out", str(out)]) == 0
    assert len(pd.read_csv(out / "results.csv")) == 3  # 2 · 1347 / 1000, rounded up
    capsys.readouterr()


def test_overwrite_replaces_results_and_nothing_else(compared, tmp_path, capsys):
    line = fails(capsys, 1, "compare", *SMALL, "--out", str(compared))
    assert "exists" in line
    (tmp_path / "precious.txt").write_text("")
    line = fails(capsys, 1, "train", *SMALL, "--out", str(tmp_path), "--overwrite")
    assert "something else than results" in line
    out = tmp_path / "out"
    assert main(["train", *SMALL, "--out", str(out)]) == 0
    (out / "old").write_text("")
    assert main(["train", *SMALL, "--out", str(out), "--overwrite"]) == 0
    assert not (out / "old").exists()


def test_data_packs_what_the_notebook_reads(tmp_path, capsys):
    source = tmp_path / "a.npz"
    images, labels = np.zeros((14, 28, 28), np.uint8), np.arange(14) % 10
    np.savez(source, x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10])
    out = tmp_path / "MNIST_data"
    assert main(["data", "mnist", "--from", str(source), "--out", str(out)]) == 0
    assert capsys.readouterr().out.split() == [
        str(out / "mnist_pics.blk"),
        str(out / "mnist_labels.blk"),
    ]
    assert read_blk(out / "mnist_pics.blk").shape == (24, 28, 28)
    assert read_blk(out / "mnist_labels.blk").shape == (24, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--itertions", "3"], "unrecognized arguments: --itertions"),
        (["compare", "--methods", "classic,frozen"], "'classic,frozen'"),
        (["compare", "--methods", "classic,classic"], "different names"),
        (["compare", "--iterations", "0"], "whole number above 0, not '0'"),
        (["compare", "--iterations", "-3"], "--iterations"),
        (["compare", "--batch-size", "x"], "whole number above 0, not 'x'"),
        (["compare", "--data", "minst"], "expected digits, mnist"),
        (["train", "--method", "frozen"], "invalid choice: 'frozen'"),
        (["train", "--survival", "1.5"], "a number from 0 to 1, not '1.5'"),
        (["compare", "--survival", "half"], "a number from 0 to 1, not 'half'"),
        (["compare", "--model", "resnet20"], "invalid choice: 'resnet20'"),
        (["train", "--precision", "float16"], "invalid choice: 'float16'"),
        (["train", "--cache", "disk"], "invalid choice: 'disk'"),
        (["compare", "--preset", "thrifty", "--t-0", "0.5"], "--preset thrifty says --t-0"),
        (["compare", "--study", "saving", "--preset", "thrifty"], "no --preset"),
        (["train", "--depth", "76"], "--model resnet has no option --depth; it has none"),
        (["train", "--model", "vgg", "--growth-rate", "2"], "no option --growth-rate; it has --d"),
        (["train", "--model", "vgg", "--depth", "C"], "whole number above 0, not 'C'"),
        (["train", "--t-0", "0"], "a number above 0, at most 1, not '0'"),
        (["train", "--how-scale", "quartic"], "invalid choice: 'quartic'"),
        (["train", "--weight-decay", "-1"], "a number of 0 or more, not '-1'"),
        (["train", "--learning-rate", "nan"], "a number above 0, not 'nan'"),
        (["train", "--epochs", "2", "--iterations", "2"], "not allowed with"),
        (["train", "--model", "wideresnet", "--depth", "D"], "must be a number, not 'D'"),
        (["train", "--model", "vgg", "--method", "stochastic"], "has no residual branches"),
        (["compare", "--model", "densenet", "--methods", "stochastic"], "no residual branches"),
        (["train", "--preset", "thrifty"], "--preset thrifty is for freezeout, not classic"),
        (["compare", "--study", "freezeout", "--freeze-every", "9"], "no --freeze-every"),
        (["train", "--freeze-every", "5"], "--freeze-every is for layerfreezing and autofreeze"),
        (
            ["compare", "--methods", "autofreeze", "--equal-time"],
            "--equal-time needs a saving that",
        ),
        (
            ["train", "--method", "autofreeze", "--const-time"],
            "--const-time needs a saving that is",
        ),
        (["compare", "--study", "freezeout", "--equal-time"], "runs of its own: no --equal-time"),
        (["compare", "--study", "freezeout", "--t-0", "0.5"], "has runs of its own: no --t-0"),
        (["train", "--save-weights", "a/b"], "a file name without a folder, not 'a/b'"),
        (["compare", "--study", "freezing"], "invalid choice: 'freezing'"),
        (["compare", "--study", "freezeout", "--methods", "classic"], "not allowed with"),
        (["fly"], "invalid choice: 'fly'"),
        ([], "COMMAND"),
        (["report"], "DIR"),
        (["bench", "steps"], "invalid choice: 'steps'"),
    ],
)
def test_wrong_usage_is_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, 2, *arguments)
    assert not any(tmp_path.iterdir()) or not any((tmp_path / "runs").iterdir())


def test_failures_are_status_1_and_leave_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "has 1,347" in fails(capsys, 1, "train", "--validate", "val", "--out", "out")
    line = fails(capsys, 1, "train", "--model", "vgg", "--depth", "12", "--out", "out")
    assert "one of A, B, D, E, or 11, 13, 16, 19. Received: 12" in line
    line = fails(capsys, 1, "compare", "--batch-size", "5000", "--out", "out")
    assert "5000 images, but digits has 1347" in line
    assert "no file" in fails(capsys, 1, "compare", "--data", "missing.npz", "--out", "out")
    (tmp_path / "bad.npz").write_bytes(b"junk")
    assert "bad.npz" in fails(capsys, 1, "train", "--data", "bad.npz", "--out", "out")
    line = fails(
        capsys, 1, "train", "--method", "autofreeze", "--freeze-every", "150", "--out", "o"
    )
    assert "--freeze-every must be below the 150 iterations" in line
    assert "no results" in fails(capsys, 1, "report", ".")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    line = fails(capsys, 1, "compare", *SMALL, "--out", str(tmp_path / "file" / "out"))
    assert "Can't write" in line


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="no file"):
        main(["--debug", "train", "--data", str(tmp_path / "a.npz"), "--out", str(tmp_path / "o")])


def test_help_starts_neither_tensorflow_nor_numpy():
    script = """
import sys
from research.cli import make_parser
make_parser().format_help()
heavy = {"tensorflow", "numpy", "pandas", "matplotlib", "batchflow"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_crash_in_a_process_is_one_line_on_stderr(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "research.cli", "train", "--batch-size", "5000", "--out", "o"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "5000 images" in done.stderr


WATCHED = ["--eval-every", "3", "--eval-batches", "2", "--metrics", "cross_entropy,top2"]


def test_training_with_evaluation_prints_lines(colours, tmp_path, capsys):
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
    assert "holds curves of another run" in fails(capsys, 1, *arguments[:-1], str(tmp_path / "two"))


def test_a_run_is_resumed_after_a_crash(colours, tmp_path, capsys, monkeypatch):
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
    assert "--resume that, move it, or" in fails(capsys, 1, *arguments, "--out", str(out))
    resume = [*arguments, "--out", str(out), "--resume"]
    assert "of a run with seed 0, not 4" in fails(capsys, 1, *resume, "--seed", "4")
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
    assert "is finished: there is nothing to resume" in fails(capsys, 1, *resume)
    named = [*arguments, "--out", f"{out}.partial", "--resume"]
    assert "name it without .partial" in fails(capsys, 1, *named)
    out.rename(tmp_path / "out.partial")
    (tmp_path / "out.partial" / "mine.txt").touch()
    assert "something else than results" in fails(capsys, 1, *resume)
    (tmp_path / "out.partial" / "mine.txt").unlink()
    out.mkdir()
    assert "holds earlier results: move them" in fails(capsys, 1, *resume)
    fresh = [*arguments, "--keep-checkpoints", "1", "--out", str(tmp_path / "new"), "--resume"]
    assert main(fresh) == 0  # nothing there: from the beginning
    assert len(list((tmp_path / "new" / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--resume"], "--resume needs --out"),
        (["--resume", "--out", "x", "--overwrite"], "give one"),
        (["--tensorboard", "x/events", "--out", "x"], "--tensorboard must lie outside --out"),
        (["--milestones", "0.6,0.3"], "must rise, not '0.6,0.3'"),
        (["--method", "freezeout", "--milestones", "0.5"], "no other rate has any"),
        (["--gamma", "0.5"], "--gamma needs --milestones"),
        (["--metrics", "accuracy,f1"], "top5 or another number, not 'accuracy,f1'"),
        (["--metrics", "top0"], "top5 or another number"),
        (["--eval-every", "0"], "whole number above 0"),
        (["--milestones", "0.3,x"], "must be a number above 0, at most 1, not 'x'"),
        (["--block", "B(3)", "--model", "wideresnet"], "invalid choice"),
        (["--block", "B(3,1)"], "--model resnet has no option --block"),
    ],
)
def test_wrong_usage_of_what_train_watches(options, told, capsys):
    assert told in fails(capsys, 2, "train", *options)


def test_the_study_of_wide_resnets(colours, tmp_path, capsys, monkeypatch):
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
        assert "has runs of its own" in fails(capsys, 2, "compare", *options, *option)
