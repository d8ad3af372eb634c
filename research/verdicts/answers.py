"""What the notebooks say of their results: sentences made from numbers, never typed."""

import time

import numpy as np

from research.environment import describe, processor_flags
from research.verdicts.statistics import interval_text, paired_interval

VECTORS = "avx2", "avx512f", "amx_tile"  # units on which times depend
TOY = "Toy size: these numbers say nothing."


class Answers:
    """The answers of a notebook: each is shown where it is computed, and all of them in the end.

    Parameters
    ----------
    toy : bool
        Whether the notebook is only run to see that it runs.
    """

    def __init__(self, toy=False):
        self._toy, self._begun, self._texts = toy, time.monotonic(), []

    def __call__(self, text):
        """Show an answer, and keep it for the end."""
        self._texts.append(text)
        _show(f"**Answer.** {text}")

    def together(self, size):
        """Show all answers, after what they rest on: `size`, the machine, and the time."""
        minutes = (time.monotonic() - self._begun) / 60
        basis = f"{size} {TOY}" if self._toy else size
        made = f"All of this took {minutes:.0f} minutes on {machine()}. Times are this machine's."
        numbered = [f"{number}. {text}" for number, text in enumerate(self._texts, 1)]
        _show("\n".join([f"{basis} {made}", "", *numbered]))


def machine():
    """The processor, its vector units, and TensorFlow's threads, in words."""
    from batch.runtime import set_threads

    facts, flags = describe(), processor_flags()
    units = ", ".join(unit for unit in VECTORS if unit in flags) or "no vector units known"
    threads = f"TensorFlow with {set_threads()} of {facts['processors']} threads"
    return f"{facts['processor']} ({units}), {threads}"


def over_seeds(differences, unit="points", decimals=2):
    """The mean of paired differences in words, with its 95 % interval where there are 2 or more."""
    differences = np.asarray(differences, dtype=float)
    mean = f"{differences.mean():+.{decimals}f} {unit}"
    if differences.size < 2:
        return f"{mean} (one seed)"
    _, low, high = paired_interval(differences)
    interval = interval_text(low, high, decimals)
    return f"{mean} (95 % interval {interval}, {differences.size} seeds)"


def by_interval(differences, above, below, unclear="nobody can tell"):
    """Of three phrases the one that the 95 % interval of paired differences allows."""
    _, low, high = paired_interval(differences)
    if low > 0:
        return above
    return below if high < 0 else unclear


def mean_and_deviation(values, unit="%", decimals=1):
    """Mean ± standard deviation over seeds (n − 1), in words; without a deviation for one seed."""
    values = np.asarray(values, dtype=float)
    spread = f" ± {values.std(ddof=1):.{decimals}f}" if values.size > 1 else ""
    return f"{values.mean():.{decimals}f}{spread} {unit}"


def use_style():
    """Draw all figures of a notebook, from now on, in our style."""
    import matplotlib

    from utils.style import styled

    with styled():
        settings = matplotlib.rcParams.copy()
    ours = {name: value for name, value in settings.items() if not name.startswith("backend")}
    matplotlib.rcParams.update(ours | {"text.parse_math": True})  # for logarithmic axes


def _show(text):
    from IPython.display import Markdown, display

    display(Markdown(text))
