"""The stages that a schedule divides a run into: the same blocks are active throughout a stage."""

import dataclasses
import math

import numpy as np

from batch.schedules import observes

HORIZON = 10_000  # iterations that are looked at, one by one, where nothing tells of changes


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
        """Whether some blocks are active, and only leading ones frozen."""
        return all(self.active[self.frozen :])


def stages(schedule, iterations, learns=None):
    """The stages that a schedule divides a run into.

    Parameters
    ----------
    schedule : callable
        From the iteration to the rates of the blocks.
    iterations : int
        Length of the run.
    learns : sequence of bool, optional
        One for each block and, last, the classifier: False for what is frozen for good.

    Returns
    -------
    list of Stage
        In their order; an empty stage is left out.
    """
    starts = []
    for iteration in (0, *change_points(schedule, 0, iterations)):
        active = tuple((with_classifier(schedule(iteration)) > 0).tolist())
        if learns is not None:
            active = tuple(is_active and may for is_active, may in zip(active, learns))
        if not starts or starts[-1][1] != active:
            starts.append((iteration, active))
    ends = [start for start, _ in starts[1:]] + [iterations]
    return [Stage(start, stop, active) for (start, active), stop in zip(starts, ends)]


def with_classifier(rates):
    """Rates of the blocks and, last, of the classifier, which follows the last block."""
    rates = np.asarray(rates, dtype=np.float64)
    return np.append(rates, rates[-1])


def change_points(schedule, start, stop):
    """Iterations at which other blocks may be frozen than just before, in rising order.

    Parameters
    ----------
    schedule : callable
        Its `last_iterations`, if it has some, say when blocks freeze, and its `iterations` when
        they may learn again. Without, every iteration may be one.
    start, stop : int
        Those above `start` and below `stop` are wanted.
    """
    ends = getattr(schedule, "last_iterations", None)
    if ends is None:
        return range(start + 1, stop)
    ends = np.append(np.asarray(ends, dtype=np.float64), end_of(schedule))
    points = np.unique(np.ceil(ends[np.isfinite(ends)])).astype(int)
    return points[(points > start) & (points < stop)].tolist()


def end_of(schedule):
    """The iteration at which a schedule says that it ends; 0 if it says nothing."""
    return math.ceil(getattr(schedule, "iterations", 0) or 0)


def iterations_left(schedule, stage_at, iteration):
    """Iterations, this one included, until another stage, as far as it is worth looking.

    Parameters
    ----------
    schedule : callable
        Its `iterations`, if it has some, say when it ends. After that, or without, nobody knows:
        infinite. Of one that looks at training only the end is known.
    stage_at : callable
        From the iteration to what tells its stage from others.
    iteration : int

    Returns
    -------
    int or infinity
        `HORIZON` at most of a schedule that does not say when blocks freeze.
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
    """How many blocks at the front have rate 0, before the first that learns."""
    learning = np.flatnonzero(np.asarray(rates) > 0)
    return int(learning[0]) if learning.size else len(rates)
