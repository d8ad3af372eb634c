"""The stages that a schedule divides a run into: the same blocks are active throughout a stage."""

import dataclasses
import math

import numpy as np


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
    found = []
    for iteration in range(iterations):
        rates = np.asarray(schedule(iteration)) > 0
        active = (*rates.tolist(), bool(rates[-1]))
        if learns is not None:
            active = tuple(one and other for one, other in zip(active, learns))
        if not found or found[-1][1] != active:
            found.append((iteration, active))
    ends = [start for start, _ in found[1:]] + [iterations]
    return [Stage(start, stop, active) for (start, active), stop in zip(found, ends)]


def end_of(schedule):
    """The iteration at which a schedule says that it ends; 0 if it says nothing."""
    return math.ceil(getattr(schedule, "iterations", 0) or 0)


def iterations_left(schedule, stage_at, iteration):
    """Iterations, this one included, until another stage.

    Parameters
    ----------
    schedule : callable
        Its `iterations`, if it has some, say when it ends. After that, or without, nobody knows:
        infinite. Of one that looks at training only the end is known.
    stage_at : callable
        From the iteration to what tells its stage from others.
    iteration : int
    """
    end = end_of(schedule)
    if iteration >= end:
        return np.inf
    if observes(schedule):
        return end - iteration
    stage, later = stage_at(iteration), range(iteration + 1, end)
    changes = (other for other in later if stage_at(other) != stage)
    return next(changes, end) - iteration


def leading_frozen(rates):
    """How many blocks at the front have rate 0, before the first that learns."""
    learning = np.flatnonzero(np.asarray(rates) > 0)
    return int(learning[0]) if learning.size else len(rates)


def observes(schedule):
    """Whether a schedule looks at training, so that what it gives is no function of the iteration.

    It then has `observe(iteration, gradient_norms)`, `get_state()` and `set_state(state)`.
    """
    return callable(getattr(schedule, "observe", None))
