"""Stages of a run: within a stage, the schedule keeps the same blocks active."""

import dataclasses
import math

import numpy as np

from batch.schedules import observes

HORIZON = 10_000  # iterations to search one by one, where a schedule does not say when it changes


@dataclasses.dataclass(frozen=True)
class Stage:
    """Iterations `start` … `stop` − 1 of a run, in which the same blocks are active.

    `active` has a bool for each block and, last, the classifier.
    """

    start: int
    stop: int
    active: tuple

    @property
    def frozen(self):
        """Leading frozen blocks, 0 … blocks."""
        return leading_frozen(self.active[:-1])

    @property
    def leading(self):
        """Whether some blocks are active, and all frozen blocks are before them."""
        return all(self.active[self.frozen :])


def stages(schedule, iterations, blocks, learns=None):
    """The stages that a schedule divides a run into.

    Parameters
    ----------
    schedule : callable
        From the iteration to the rates of the blocks.
    iterations : int
        Length of the run.
    blocks : int
        How many there are, the classifier not counted.
    learns : sequence of bool, optional
        One for each block and, last, the classifier: False if it is frozen for good.

    Returns
    -------
    list of Stage
        In their order, without empty ones.
    """
    starts = []
    for iteration in (0, *change_points(schedule, 0, iterations)):
        active = tuple((with_classifier(schedule(iteration), blocks) > 0).tolist())
        if learns is not None:
            active = tuple(is_active and learn for is_active, learn in zip(active, learns))
        if not starts or starts[-1][1] != active:
            starts.append((iteration, active))
    ends = [start for start, _ in starts[1:]] + [iterations]
    return [Stage(start, stop, active) for (start, active), stop in zip(starts, ends)]


def are_rates(rates, blocks):
    """Whether an array has a finite rate of 0 or more for each block (and for the classifier)."""
    fits = rates.shape in ((blocks,), (blocks + 1,))
    return fits and bool((np.isfinite(rates) & (rates >= 0)).all())


def with_classifier(rates, blocks):
    """Rates of the blocks and, last, of the classifier.

    It follows the last block, unless the schedule gives it a rate of its own.
    """
    rates = np.asarray(rates, dtype=np.float64)
    return rates if rates.shape == (blocks + 1,) else np.append(rates, rates[-1:])


def change_points(schedule, start, stop):
    """Iterations at which the set of frozen blocks may change, in rising order.

    Parameters
    ----------
    schedule : callable
        If it has `last_iterations`, they say when blocks freeze, and its `iterations`, when blocks
        may learn again. Otherwise it may change at every iteration.
    start, stop : int
        Only iterations above `start` and below `stop` are returned.
    """
    ends = getattr(schedule, "last_iterations", None)
    if ends is None:
        return range(start + 1, stop)
    ends = np.append(np.asarray(ends, dtype=np.float64), end_of(schedule))
    points = np.unique(np.ceil(ends[np.isfinite(ends)])).astype(int)
    return points[(points > start) & (points < stop)].tolist()


def end_of(schedule):
    """The iteration at which a schedule ends; 0 if it does not say."""
    return math.ceil(getattr(schedule, "iterations", 0) or 0)


def iterations_left(schedule, stage_at, iteration):
    """Iterations, this one included, until the next stage.

    Parameters
    ----------
    schedule : callable
        If it has `iterations`, it ends there. If it observes training, only its end is known.
    stage_at : callable
        From the iteration to a value that is equal within a stage only.
    iteration : int

    Returns
    -------
    int or infinity
        Infinity if it is not known: after the end of the schedule, or if it does not say when it
        ends. At most `HORIZON` if the schedule does not say when blocks freeze.
    """
    end = end_of(schedule)
    if iteration >= end:
        return np.inf
    if observes(schedule):
        return end - iteration
    if getattr(schedule, "last_iterations", None) is None:
        end = min(end, iteration + HORIZON)
    stage = stage_at(iteration)
    points = change_points(schedule, iteration, end)
    return next((point for point in points if stage_at(point) != stage), end) - iteration


def leading_frozen(rates):
    """How many leading blocks have rate 0, before the first block that learns."""
    learning = np.flatnonzero(np.asarray(rates) > 0)
    return int(learning[0]) if learning.size else len(rates)
