"""What looks on while a run goes: a progress bar, log lines, metrics in a file, checkpoints."""

import json
import os
import pathlib
import sys

from tqdm import tqdm

from research.metrics import read_metrics
from research.run import Watcher


class Progress(tqdm, Watcher):
    """A bar over the iterations of one run or several: loss, rate, time left.

    Parameters
    ----------
    iterations : int
        Of all runs together.
    made : int
        How many of them were made before.
    quiet : bool
        Show nothing.
    """

    def __init__(self, iterations, made=0, quiet=False):
        interval = 0.5 if sys.stderr.isatty() else 15  # seconds; log files get a line a while
        super().__init__(
            total=iterations,
            initial=made,
            disable=quiet,
            unit="it",
            dynamic_ncols=True,
            mininterval=interval,
            delay=1,
        )

    def iterated(self, run):
        """Take note of another iteration of a run."""
        history = run.history
        self.set_description(f"{history.method}, seed {history.seed}", refresh=False)
        self.set_postfix(loss=f"{history.loss[-1]:.3f}", refresh=False)
        self.update()


class LogLine(Watcher):
    """Prints a line after every evaluation, without disturbing a bar."""

    def evaluated(self, run, found):
        """Step, steps and seconds since the last line, values of training and evaluation."""
        values = ", ".join(f"{name} {value:.4f}" for name, value in found["eval"].items())
        tqdm.write(
            f"step {found['iteration']}: ran {found['steps']} steps in "
            f"{found['steps_seconds']:.2f} s | train cross_entropy {found['train_loss']:.4f} | "
            f"eval {values}"
        )
        sys.stdout.flush()


class MetricsLog(Watcher):
    """Appends a JSON object to a file after every evaluation.

    What is in it survives a crash, up to the last complete line.

    Parameters
    ----------
    path : path
    made : int
        Iterations that the run was taken up after: what the file says of later ones is forgotten.
    """

    def __init__(self, path, made=0):
        self.path = pathlib.Path(path)
        if self.path.exists():
            kept = [line for line in read_metrics(self.path) if line["iteration"] <= made]
            rewritten = self.path.with_name(f"new-{self.path.name}")
            rewritten.write_text("".join(json.dumps(line) + "\n" for line in kept))
            rewritten.replace(self.path)

    def evaluated(self, run, found):
        """Write one line, and see it to the disk."""
        with self.path.open("a") as file:
            file.write(json.dumps(found) + "\n")
            file.flush()
            os.fsync(file.fileno())


class CheckpointEvery(Watcher):
    """Saves a checkpoint every so many iterations.

    Parameters
    ----------
    checkpoints : batch.checkpoint.Checkpoints
    every : int
    """

    def __init__(self, checkpoints, every):
        self.checkpoints = checkpoints
        self.every = every

    def iterated(self, run):
        """Save, if it is time."""
        if len(run.history) % self.every == 0:
            self.checkpoints.save(run.model, run.history, run.identity)
