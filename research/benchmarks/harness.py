"""Measuring versions in turn, so that what else the machine does meets them all alike."""

import dataclasses
import itertools
import time
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

TURNS = 5  # whose quartiles say something
COLUMNS = ("what", "ours", "peer", "theirs", "unit", "ratio", "spread", "expected", "note")
USUAL_BATCH = 300


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a suite: versions that are measured in turn, whose rows are written together.

    Attributes
    ----------
    name : str
    measure : callable
        From the repetitions and the batch size to rows, as from `compared`.
    once, each : float
        Seconds that making the versions takes, and one step of every version in batches of
        `USUAL_BATCH`, on the two cores that `research.benchmarks.suites.PRODUCT` was measured on.
    steps : int
        Steps in a turn.
    most : int, optional
        Repetitions at most. A part that has it has a batch size of its own, too.
    """

    name: str
    measure: Callable
    once: float
    each: float
    steps: int = 1
    most: int | None = None

    def rows(self, repetitions, batch_size):
        """Measure it; the rows, as a list."""
        return list(self.measure(min(repetitions, self.most or repetitions), batch_size))

    def seconds(self, repetitions, batch_size):
        """About how long it takes on those cores."""
        if self.most:
            return self.once + self.each * min(repetitions, self.most)
        steps = self.steps * (turns(self.steps, repetitions) + 1) if self.steps > 1 else repetitions
        return self.once + self.each * steps * batch_size / USUAL_BATCH


def compared(what, ours, peer, theirs, expected=None, note="", unit="s"):
    """A row of the table: a version of ours beside a peer.

    Parameters
    ----------
    what, peer : str
    ours, theirs : ndarray, shape (repetitions,)
        Measured in turn; `theirs` is None where the peer is not installed.
    expected : float, optional
        The ratio to expect, where something tells.
    note : str
    unit : str
        Of what was measured.

    Returns
    -------
    tuple of str
        As `COLUMNS`: medians, and the median of the ratio over the repetitions with its quartiles.
    """
    hoped = "" if expected is None else f"{expected:.3f}"
    if theirs is None:
        missing = f"{peer}: not installed", ""
        return what, f"{np.median(ours):.4g}", *missing, unit, "", "", hoped, note
    low, ratio, high = np.percentile(np.asarray(ours) / np.asarray(theirs), [25, 50, 75])
    spread = f"{low:.3f}–{high:.3f}" if len(ours) > 1 else ""
    return (
        *(what, f"{np.median(ours):.4g}", peer, f"{np.median(theirs):.4g}", unit),
        *(f"{ratio:.3f}", spread, hoped, note),
    )


def not_measured(what, why):
    """The row of what can't be measured here."""
    return (what, "", f"not measured: {why}", *[""] * (len(COLUMNS) - 3))


def in_turn(versions, repetitions, warm_up=3):
    """Seconds that each version takes, measured A B C, A B C and so on.

    Parameters
    ----------
    versions : dict from str to callable
        Each call is one measurement.
    repetitions : int
        Measurements of each version.
    warm_up : int
        Calls of each version before, not counted.

    Returns
    -------
    dict from str to ndarray, shape (repetitions,)
        Seconds.
    """
    for _ in range(warm_up):
        for version in versions.values():
            version()
    seconds = {name: [] for name in versions}
    for _ in tqdm(range(repetitions), leave=False, unit="round"):
        for name, version in versions.items():
            seconds[name].append(timed(version))
    return {name: np.array(values) for name, values in seconds.items()}


def in_turns_of(steps, versions, repetitions):
    """Seconds a step of each version, which makes so many steps before it is another's turn.

    So the threads of one library meet another's seldom, and what a call costs is spread.

    Parameters
    ----------
    steps : int
    versions : dict from str to callable
        Each call is one step.
    repetitions : int
        Steps of each version, made in `TURNS` turns at least, unless they are fewer.
    """

    def turn(step):
        return lambda: _waited([step() for _ in range(steps)])

    made = {name: turn(step) for name, step in versions.items()}
    measured = in_turn(made, turns(steps, repetitions), warm_up=1)
    return {name: seconds / steps for name, seconds in measured.items()}


def turns(steps, repetitions):
    """How many turns of so many steps `in_turns_of` measures."""
    return max(repetitions // steps, min(repetitions, TURNS))


class Waited(float):
    """Seconds of a call that do not count: nothing was computed in them."""


def _waited(results):
    return Waited(sum(result for result in results if isinstance(result, Waited)))


def whole_turn(steps, turn):
    """A step of a version that makes a turn of so many steps in one call.

    The call may return seconds in which nothing was computed, which do not count.
    """
    made = itertools.count()
    return lambda: None if next(made) % steps else Waited(turn() or 0)


def milliseconds(seconds):
    """Median and quartiles as text."""
    low, middle, high = np.percentile(1000 * np.asarray(seconds), [25, 50, 75])
    return f"{middle:.1f} ({low:.1f}–{high:.1f})"


def timed(version):
    """Seconds that a call takes, without those that it returns as `Waited`."""
    start = time.perf_counter()
    result = version()
    return time.perf_counter() - start - _waited([result])
