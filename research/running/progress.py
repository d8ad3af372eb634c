"""How far runs are: bars on a terminal and in a notebook, lines in a log file."""

import sys

from tqdm import tqdm

from research.console import writing
from research.running.callbacks import Callback

LINES = 15  # seconds from one line to the next in a log file; the first ones come earlier
RECENT = 10  # iterations that images a second are counted over


class Progress(Callback):
    """Shows how far one run or several are: loss, accuracy, images a second, time left.

    On a terminal and in a notebook there is a bar of all runs and, where there are several, another
    of the run that trains. A log file gets a line at once, another when half as much time again has
    passed, and then one every 15 seconds.

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
    runs : int
        How many there are.
    """

    def __init__(self, iterations, made=0, quiet=False, about="", runs=1):
        self._quiet = quiet or sys.stderr is None  # as under pythonw
        if about and not self._quiet:
            with writing("stderr"):
                print(about, file=sys.stderr, flush=True)
        self._shape = _bars()
        self._several = runs > 1 and self._shape is not _Lines
        self._whole = self._bar(iterations, made, smoothing=0)
        if self._several:
            self._whole.set_description("all runs", refresh=False)
        self._run, self._shown, self._accuracies = None, None, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def restart(self):
        """Begin to measure now: what was done until then is no iteration."""
        self._whole.unpause()

    def count(self, iterations, text):
        """Show iterations that were made elsewhere, some perhaps for the second time."""
        self._whole.set_description(text, refresh=False)
        self._whole.update(min(iterations, self._whole.total - self._whole.n))

    def on_test_end(self, run, logs):
        """Keep what accuracy there is to show."""
        self._accuracies[_name(run)] = logs["eval"].get("accuracy")

    def on_train_batch_end(self, run):
        """Count another iteration of a run."""
        if self._quiet:
            return
        bars = [self._bar_of(run), self._whole] if self._several else [self._whole]
        bars[0].set_description(_name(run), refresh=False)
        bars[0].set_postfix(_figures(run, self._accuracies.get(_name(run))), refresh=False)
        for bar in bars:
            bar.update()

    def close(self):
        """Leave the bar of all runs as it is, or the last line where it is not written yet."""
        for bar in (self._run, self._whole):
            if bar is not None:
                bar.close()

    def _bar_of(self, run):
        """The bar of the run that trains, which begins again where that is another run."""
        iterations, made = run.experiment.iterations, len(run.history) - 1
        if self._run is None:
            self._run = self._bar(iterations, made, position=1, leave=False)
        elif self._shown != _name(run):
            self._run.set_description(_name(run), refresh=False)
            self._run.set_postfix(refresh=False)
            self._run.reset(iterations)
            self._run.n = self._run.initial = made
        self._shown = _name(run)
        return self._run

    def _bar(self, total, made, **more):
        return self._shape(
            total=total,
            initial=made,
            disable=self._quiet,
            unit="it",
            dynamic_ncols=self._shape is not _Lines,
            miniters=1,
            mininterval=0.5,
            **more,
        )


class _Lines(tqdm):
    """A bar for a log file, which gets a line of it now and then."""

    def __init__(self, **options):
        super().__init__(**options)
        self._written = None
        if not self.disable:
            self._decr_instances(self)  # or each text printed would bring another line of it

    def display(self, msg=None, pos=None):
        """Write a line."""
        with writing("stderr"):
            self.fp.write(f"{self}\n")
            self.fp.flush()
        self._written = self.n
        self.mininterval = min(LINES, max(1, self.format_dict["elapsed"] / 2))
        return True

    def close(self):
        """Write the last line, where it is not written yet."""
        if not self.disable and self.n != self._written:
            self.display()
        self.disable = True


def _bars():
    """The class of bars that standard error, or a notebook, can show."""
    from tqdm.auto import tqdm as auto
    from tqdm.notebook import tqdm_notebook

    if issubclass(auto, tqdm_notebook):
        return auto
    return tqdm if sys.stderr is not None and sys.stderr.isatty() else _Lines


def _name(run):
    return f"{run.history.method}, seed {run.history.seed}"


def _figures(run, accuracy):
    """What stands behind a bar: loss, the accuracy of the last evaluation, images a second."""
    history = run.history
    seconds = sum(history.seconds[-RECENT:])
    images = run.experiment.batch_size * len(history.seconds[-RECENT:])
    return {
        "loss": f"{history.loss[-1]:.3f}",
        **({} if accuracy is None else {"accuracy": f"{100 * accuracy:.1f} %"}),
        **({"images/s": f"{images / seconds:,.0f}"} if seconds else {}),
        **({"frozen": history.frozen[-1]} if history.frozen[-1] else {}),
    }
