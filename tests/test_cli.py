import json
import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from batch.models import MODELS
from research import names
from research.cli import main
from research.experiment import Experiment
from utils.blk import read_blk

SUMMARY = (
    "method,seeds,accuracy_mean,accuracy_std,seconds_mean,seconds_ratio,predicted_ratio,baseline,"
    "difference,ci_low,ci_high"
)
SMALL = ["--iterations", "4", "--batch-size", "40"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A folder that `resbatch compare` wrote."""
    out = tmp_path_factory.mktemp("cli") / "compared"
    assert main(["compare", *SMALL, "--seeds", "2", "--out", str(out)]) == 0
    return out


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
    assert tuple(MODELS) == names.MODELS
    assert Experiment().survival == 0.6


def test_train_and_a_report_of_several_runs(tmp_path, capsys):
    folders = []
    options = ["--survival", "0.5", "--seed", "3"]
    for method in ("classic", "annealed", "stochastic"):
        out = tmp_path / method
        assert main(["train", *SMALL, *options, "--method", method, "--out", str(out)]) == 0
        names = sorted(path.name for path in out.iterdir())
        assert names == ["experiment.json", "model.keras", "results.csv"]
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
    assert main(["report", folders[0], folders[0], "--out", str(tmp_path / "twice")]) == 0
    table = pd.read_csv(tmp_path / "twice" / "summary.csv")
    assert table.method.tolist() == ["classic: classic"]
    assert main(["report", folders[0]]) == 0
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
    line = fails(capsys, 1, "compare", "--batch-size", "5000", "--out", "out")
    assert "5000 images, but digits has 1347" in line
    assert "no file" in fails(capsys, 1, "compare", "--data", "missing.npz", "--out", "out")
    (tmp_path / "bad.npz").write_bytes(b"junk")
    assert "bad.npz" in fails(capsys, 1, "train", "--data", "bad.npz", "--out", "out")
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
