"""Callbacks of a run: log lines, metrics in a file, checkpoints."""

import json
import logging
import os
import pathlib
import time

from tqdm import tqdm

from batch.files import write_text
from research.console import say
from research.running.metrics import read_metrics

SECONDS = 300  # from one checkpoint to the next, where no number of iterations is asked for


class Callback:
    """Is called while a run goes on; what it does must not change the run."""

    def on_test_end(self, run, logs):
        """After every evaluation; `logs` is what `RunEvaluation.evaluate` gives."""

    def on_train_batch_end(self, run):
        """After every iteration, and after its evaluation."""

    def on_train_end(self, run):
        """After the last iteration and the test, whose accuracy the run's history has."""


class LogLine(Callback):
    """Prints a line after every evaluation, without disturbing a bar."""

    def on_test_end(self, run, logs):
        """Step, steps and seconds since the last line, values of training and evaluation."""
        values = ", ".join(f"{name} {value:.4f}" for name, value in logs["eval"].items())
        with tqdm.external_write_mode():
            say(
                f"step {logs['iteration']}: ran {logs['steps']} steps in "
                f"{logs['steps_seconds']:.2f} s | train cross_entropy {logs['train_loss']:.4f} | "
                f"eval {values}"
            )


class MetricsLog(Callback):
    """Appends a JSON object to a file after every evaluation.

    What is in it survives a crash, up to the last complete line.

    Parameters
    ----------
    path : path
    made : int
        Iterations after which the run is resumed: what the file says of later ones is removed.
    """

    def __init__(self, path, made=0):
        self.path = pathlib.Path(path)
        if self.path.exists():
            lines = [line for line in read_metrics(self.path) if line["iteration"] <= made]
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in lines))

    def on_test_end(self, run, logs):
        """Write one line, and see it to the disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(logs) + "\n")
            file.flush()
            os.fsync(file.fileno())


class CheckpointEvery(Callback):
    """Saves a checkpoint every so many iterations, or about every five minutes.

    Parameters
    ----------
    checkpoints : batch.data.checkpoint.Checkpoints
    every : int, optional
        Without it nobody asked for checkpoints: where there is no room for them, the run goes on.
    """

    def __init__(self, checkpoints, every=None):
        self.checkpoints = checkpoints
        self.every = every
        self._last = time.monotonic()

    def on_train_batch_end(self, run):
        """Save, if it is time."""
        if self.every:
            if len(run.history) % self.every == 0:
                self.save(run)
        elif time.monotonic() - self._last >= SECONDS:
            try:
                self.save(run)
            except OSError as error:
                logging.getLogger(__name__).warning("No checkpoint could be saved: %s", error)
            self._last = time.monotonic()

    def save(self, run):
        """Save a checkpoint of what a run has made so far."""
        self.checkpoints.save(run.model, run.history, run.identity)
