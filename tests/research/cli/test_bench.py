import numpy as np
import pandas as pd
import pytest

from research.benchmarks import growth
from research.benchmarks.harness import Part, compared
from research.cli import main


@pytest.fixture
def failing(monkeypatch):
    """The suite growth has two parts; while the list that is given holds something, one fails."""
    failures = ["it fails"]

    def measure(repetitions, batch_size):
        return [compared("a", np.ones(repetitions), "b", np.ones(repetitions))]

    def fails(repetitions, batch_size):
        if failures:
            raise ValueError(failures[0])
        return measure(repetitions, batch_size)

    parts = [Part("first", measure, 1, 1), Part("second", fails, 1, 1)]
    monkeypatch.setattr(growth, "parts", lambda _: parts)
    return failures


def bench(tmp_path, *more):
    return ["bench", "growth", "--repetitions", "2", "--out", str(tmp_path / "out"), *more]


def test_a_benchmark_that_failed_keeps_its_rows_and_goes_on(failing, fails, tmp_path, capsys):
    assert main(bench(tmp_path)) == 1
    assert "it fails" in capsys.readouterr().err
    partial = tmp_path / "out.partial"
    written = {"bench.csv", "bench.json", "bench.md"}
    assert {path.name for path in partial.iterdir()} == {*written, "begun.json"}
    assert len(pd.read_csv(partial / "bench.csv")) == 1
    assert "--resume that, move it, or --overwrite it" in fails(1, *bench(tmp_path))
    line = fails(1, *bench(tmp_path, "--resume", "--batch-size", "8"))
    assert "out.partial was measured with batch size 300. Received: batch size 8" in line
    failing.clear()
    assert main(bench(tmp_path, "--resume")) == 0
    assert "out/bench.md" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("bench.csv", "bench.json", "bench.md", "experiment.json")
    }
    assert len(pd.read_csv(tmp_path / "out" / "bench.csv")) == 2
    assert main(bench(tmp_path, "--resume")) == 0
    assert "out is finished: nothing is left to do" in capsys.readouterr().out


def test_there_is_nothing_to_resume_in_what_another_command_left(fails, tmp_path):
    partial = tmp_path / "out.partial"
    (partial / "checkpoints" / "one").mkdir(parents=True)
    line = fails(1, *bench(tmp_path, "--resume"))
    assert "holds no benchmark to resume: move it, or --overwrite it" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume needs --out"),
        (["--resume", "--overwrite", "--out", "a"], "--resume goes on with what --overwrite would"),
        (["--quick", "--repetitions", "9"], "--quick has repetitions of its own"),
        (["--quick", "3"], "invalid choice: '3'"),
        (
            ["finetune", "saving", "--batch-size", "9"],
            "finetune and saving train by recipes of their",
        ),
    ],
)
def test_options_that_contradict_each_other(arguments, message, fails):
    assert message in fails(2, "bench", *arguments)
