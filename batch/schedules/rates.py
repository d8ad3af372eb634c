"""Schedules that freeze nothing: constant, in steps, smaller in early blocks, or Keras' own."""

import math

import numpy as np

from batch.checks import GREATEST, SMALLEST, optional, positive, positive_whole, received, sequence
from batch.schedules.config import Configured, at, block_count
from batch.schedules.freezeout import Annealed, snapped


class Discriminative(Configured):
    """Discriminative fine-tuning: the earlier a block, the smaller its learning rate.

    Block i of n learns at learning_rate/factor^(n − 1 − i), the classifier like the last block.

    Parameters
    ----------
    blocks : int
        Number of blocks n, without the classifier.
    learning_rate : float
        Of the last block.
    factor : float
        1 or more.
    iterations : int, optional
        All rates fall to zero on one cosine over so many iterations. By default they are constant.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or `factor` is below 1.

    References
    ----------
    Howard and Ruder, Universal Language Model Fine-tuning, 2018, section 3.2 (discriminative
    fine-tuning, η of a layer 1/2.6 of that of the next).

    Examples
    --------
    >>> Discriminative(3, 0.04, factor=2)(0)
    array([0.01, 0.02, 0.04])
    """

    ARGUMENTS = ("blocks", "learning_rate", "factor", "iterations")

    def __init__(self, blocks, learning_rate, factor=2.6, iterations=None):
        self.blocks = block_count(blocks)
        self.learning_rate = positive("learning_rate", learning_rate)
        self.factor = positive("factor", factor)
        if self.factor < 1:
            raise ValueError(f"factor must be 1 or more. {received(factor)}")
        self.iterations = optional(positive_whole, "iterations", iterations)
        self._last = (
            Constant(self.blocks, learning_rate)
            if iterations is None
            else Annealed(self.blocks, iterations, learning_rate)
        )
        self.last_iterations = self._last.last_iterations
        self._shares = self.factor ** -np.arange(self.blocks, dtype=np.float64)[::-1]
        if self.learning_rate * self._shares[0] < SMALLEST:
            raise ValueError(
                f"factor leaves the first of {self.blocks} blocks no rate above 0. "
                f"{received(factor)}"
            )

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64."""
        return self._shares * self._last(iteration)


class Constant(Configured):
    """One rate for every block and every iteration.

    Parameters
    ----------
    blocks : int
        Number of blocks, without the classifier.
    learning_rate : float
        The rate.
    """

    ARGUMENTS = ("blocks", "learning_rate")

    def __init__(self, blocks, learning_rate):
        self.blocks = block_count(blocks)
        self.learning_rate = positive("learning_rate", learning_rate)
        self.last_iterations = np.full(self.blocks, np.inf)

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64."""
        at(iteration)
        return np.full(self.blocks, self.learning_rate)


class MultiStep(Configured):
    """One rate for every block, multiplied by a factor at milestones of the run.

    ResNets and Wide ResNets are trained like this: 0.1 at first, then a fifth or a tenth of it, and
    so on.

    Parameters
    ----------
    blocks : int
        Number of blocks, without the classifier.
    iterations : int
        Length of the run T.
    learning_rate : float
        The first rate.
    milestones : sequence of float
        Shares of T, rising, at which the rate is multiplied by `gamma`.
    gamma : float
        The factor.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or the milestones do not rise.

    References
    ----------
    Zagoruyko and Komodakis, Wide Residual Networks, 2016, section 3: a fifth at epochs 60, 120 and
    160 of 200.

    Examples
    --------
    >>> schedule = MultiStep(1, 200, 0.1)
    >>> [round(float(schedule(epoch)[0]), 6) for epoch in (59, 60, 120, 160)]
    [0.1, 0.02, 0.004, 0.0008]
    """

    ARGUMENTS = ("blocks", "iterations", "learning_rate", "milestones", "gamma")

    def __init__(self, blocks, iterations, learning_rate, milestones=(0.3, 0.6, 0.8), gamma=0.2):
        self.blocks = block_count(blocks)
        self.iterations = positive_whole("iterations", iterations)
        self.learning_rate = positive("learning_rate", learning_rate)
        shares = sequence("milestones", milestones, "shares of the iterations")
        self.milestones = [positive("milestones", share) for share in shares]
        if self.milestones != sorted(set(self.milestones)) or max(self.milestones, default=0) > 1:
            raise ValueError(
                f"milestones must be rising shares of the iterations, at most 1. {received(shares)}"
            )
        self.gamma = positive("gamma", gamma)
        last = math.log2(self.learning_rate) + len(shares) * math.log2(self.gamma)
        if not math.log2(SMALLEST) <= last < math.log2(GREATEST):
            raise ValueError(
                f"gamma makes the last rate 0 or infinite, after {len(shares)} milestones. "
                f"{received(gamma)}"
            )
        self.last_iterations = np.full(self.blocks, np.inf)
        self._starts = snapped(self.iterations * np.asarray(self.milestones))

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64."""
        passed = np.count_nonzero(at(iteration) >= self._starts)
        return np.full(self.blocks, self.learning_rate * self.gamma**passed)


class KerasRates:
    """A Keras learning-rate schedule as one of ours: the same rate for every block.

    It freezes nothing. Where its rate is 0, as in the first step of a warm-up, slots and moving
    statistics go on as in Keras: the rate here is the least number above 0.

    Parameters
    ----------
    blocks : int
        Number of blocks, without the classifier.
    schedule : callable
        From the iteration to the rate, as a keras.optimizers.schedules.LearningRateSchedule.
    """

    def __init__(self, blocks, schedule):
        self.blocks = blocks
        self.schedule = schedule
        self.last_iterations = np.full(blocks, np.inf)

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64."""
        rate = float(self.schedule(iteration))
        return np.full(self.blocks, rate or float(np.finfo(np.float32).tiny))
