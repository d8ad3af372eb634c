"""Callbacks of a run: a progress bar, log lines, metrics in a file, checkpoints."""

import json
import logging
import os
import pathlib
import sys
import time

from tqdm import tqdm

from batch.files import write_text
from research.console import say, writing
from research.metrics import read_metrics

SECONDS = 300  # from one checkpoint to the next, where no number of iterations is asked for
LINES = 15  # seconds from one line to the next in a log file; the first ones come earlier


class Callback:
    """Is called while a run goes on; what it does must not change the run."""

    def on_test_end(self, run, logs):
        """After every evaluation; `logs` is what `RunEvaluation.evaluate` gives."""

    def on_train_batch_end(self, run):
        """After every iteration, and after its evaluation."""


class Progress(tqdm, Callback):
    """A bar over the iterations of one run or several: loss, rate, time left.

    Where standard error is no terminal but a log file, it gets a line at once, another when half as
    much time again has passed, and then one every 15 seconds.

    Parameters
    ----------
    iterations : int
        Of all runs together.
    made : int
        How many of them were made before.
    quiet : bool
        Show nothing.
    about : str
        A line to begin with, as what is trained on.
    """

    def __init__(self, iterations, made=0, quiet=False, about=""):
        quiet = quiet or sys.stderr is None  # as under pythonw
        self._terminal = not quiet and sys.stderr.isatty()
        if about and not quiet:
            with writing("stderr"):
                print(about, file=sys.stderr, flush=True)
        super().__init__(
            total=iterations,
            initial=made,
            disable=quiet,
            unit="it",
            dynamic_ncols=self._terminal,
            miniters=1,
            mininterval=0.5,
        )
        if not self._terminal and not quiet:
            self._decr_instances(self)  # or each text printed would bring another line of it

    def restart(self):
        """Begin to measure now: what was done until then is no iteration."""
        if not self.disable:
            self.start_t = self.last_print_t = self._time()

    def count(self, iterations, text):
        """Show iterations that were made elsewhere, some perhaps for the second time."""
        self.set_description(text, refresh=False)
        self.update(min(iterations, self.total - self.n))

    def on_train_batch_end(self, run):
        """Count another iteration of a run."""
        history = run.history
        self.set_description(f"{history.method}, seed {history.seed}", refresh=False)
        self.set_postfix(loss=f"{history.loss[-1]:.3f}", refresh=False)
        self.update()

    def display(self, msg=None, pos=None):
        """Draw the bar again; in a log file, write a line."""
        if self._terminal:
            return super().display(msg, pos)
        with writing("stderr"):
            self.fp.write(f"{self}\n")
            self.fp.flush()
        self._written = self.n
        self.mininterval = min(LINES, max(1, self.format_dict["elapsed"] / 2))
        return True

    def close(self):
        """Leave the bar as it is, or the last line where it is not written yet."""
        if self._terminal or self.disable:
            super().close()
            return
        if self.n != self._written:
            self.display()
        self.disable = True


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
