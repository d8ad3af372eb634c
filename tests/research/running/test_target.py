import json
import types

import numpy as np
import pandas as pd
import pytest

from batch.data.checkpoint import Checkpoints
from research.cli import main
from research.experiments.experiment import Experiment
from research.running.callbacks import CheckpointEvery
from research.running.run import Run
from research.running.target import TimeToTarget
from utils import Data, History

ROWS = 60


class FakeRun:
    """60 images in batches of 20: an epoch is 3 iterations."""

    def __init__(self, accuracies, iterations=11):
        self.experiment = Experiment(batch_size=20, iterations=iterations)
        split = types.SimpleNamespace(images=np.zeros((ROWS, 8, 8, 1)), labels=np.zeros(ROWS))
        self.data = types.SimpleNamespace(train=split, test=split, name="it", classes=10)
        self.history, self.model, self.evaluated = History(), self, []
        self._accuracies = iter(accuracies)

    def settle(self):
        self.history.seconds[-1] += 0.5  # work of other threads

    def predict(self, images, labels, fetches):
        assert fetches == "output_accuracy"
        self.evaluated.append(len(self.history))
        return next(self._accuracies)

    def go(self, accuracy):
        callback = TimeToTarget(accuracy)
        for _ in range(self.experiment.iterations):
            self.history.append(1.0, 1.0, 0)
            callback.on_train_batch_end(self)
        return self.history.target


@pytest.mark.parametrize(
    ("accuracies", "evaluated", "iterations", "seconds"),
    [
        ([0.99], [3], 3, 3.5),
        ([123 / 125], [3], 3, 3.5),  # 98.4 %, which is a bit more when it is divided by 100
        ([0.1, 0.9839, 0.99, 0.2], [3, 6, 9], 9, 10.5),
        ([0.1, 0.1, 0.1, 1.0], [3, 6, 9, 11], 11, 13.0),
        ([0.1, 0.1, 0.1, 0.1], [3, 6, 9, 11], None, None),
    ],
)
def test_it_looks_after_each_epoch_until_the_target_is_reached(
    accuracies, evaluated, iterations, seconds
):
    run, target = FakeRun(accuracies), 98.4 / 100
    assert run.go(target) == {"accuracy": target, "iterations": iterations, "seconds": seconds}
    assert run.evaluated == evaluated


@pytest.fixture
def small():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (ROWS, 8, 8, 3), np.uint8), np.arange(ROWS) % 3
    return Data.of(images, labels, images[:9], labels[:9], name="small")


@pytest.mark.usefixtures("small_networks")
def test_a_checkpoint_remembers_that_it_was_reached(small, tmp_path):
    one = Experiment(method="annealed", iterations=5, batch_size=20)
    checkpoints = Checkpoints(tmp_path)
    run = Run(one, small, [TimeToTarget(0.01), CheckpointEvery(checkpoints, 2)])
    run.advance(4)
    assert run.history.target["iterations"] == 3
    again = Run(one, small, [TimeToTarget(0.01)])
    again.resume(checkpoints)
    assert again.history.target == run.history.target
    again.advance(1)
    plain = Run(one, small)
    plain.advance(5)
    assert again.history.target == run.history.target
    assert again.history.loss == plain.history.loss  # evaluating changes no bit


@pytest.mark.usefixtures("small_networks")
def test_a_comparison_with_a_target_and_a_margin(colours, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--data", colours, "--iterations", "4", "--batch-size", "20", "--seeds", "2"]
    options += ["--methods", "classic,annealed", "--target", "1", "--margin", "2.5"]
    assert main(["compare", *options, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "annealed reached 1 % in " in said
    assert "Verdicts have a margin of 2.5 points" in said
    table = pd.read_csv(out / "summary.csv")
    record = json.loads((out / "experiment.json").read_text())
    assert (record["settings"]["margin"], record["settings"]["target"]) == (2.5, 1.0)
    targets = [run["target"] for run in record["runs"] if run["method"] == "annealed"]
    reached = sum(target["iterations"] is not None for target in targets)
    assert table.target_reached[1] == f"{reached}/2"
    page = (out / "report.html").read_text()
    assert "Verdicts have a margin of 2.5 points" in page
    assert "annealed reached 1 % in " in page
    before = (out / "summary.csv").read_text()
    assert main(["report", str(out), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "summary.csv").read_text() == before
    capsys.readouterr()
