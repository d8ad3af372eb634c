"""Linear freezing at the ends of epochs, on one cosine for all blocks."""

import math

import numpy as np

from batch.checks import optional, positive, positive_whole, share
from batch.schedules.config import Configured, at
from batch.schedules.freezeout import Annealed, snapped

MOST_DECISIONS = 1_000_000  # in a run


class LayerFreezing(Configured):
    """Freezes more and more leading blocks at the ends of epochs, as Composer does it.

    Nothing is frozen until a share of the run is over. From then on the share of frozen blocks
    grows linearly, to `freeze_level` at the end of the run. Blocks freeze only at the end of an
    epoch, and the share is rounded down to whole blocks.

    Parameters
    ----------
    blocks : int
        Number of blocks n, without the classifier.
    iterations : int
        Length of the run T.
    learning_rate : float
        Of every block at first. It falls to zero at T, on one cosine.
    every : int
        Iterations in an epoch, after which blocks may freeze; a tenth of the run by default.
    freeze_start : float
        Share s of the run before freezing begins.
    freeze_level : float
        Share ℓ of the blocks that would be frozen at T.
    finetune_rate : float, optional
        From iteration T on, all blocks learn again, at this rate.

    Attributes
    ----------
    last_iterations : ndarray, shape (blocks,), float64
        Block i is frozen from the first iteration t ≥ t_i: the first end of an epoch with
        ⌊n·ℓ·(t/T − s)/(1 − s)⌋ > i, or T.

    Raises
    ------
    ValueError
        If a parameter is out of its range; `freeze_start` must be below 1.

    References
    ----------
    Composer's method card on layer freezing, after Raghu et al., SVCCA, 2017 (freeze training).

    Examples
    --------
    >>> LayerFreezing(4, 100, 0.1, every=10, freeze_start=0.5).last_iterations
    array([ 70.,  80.,  90., 100.])
    """

    ARGUMENTS = (
        *("blocks", "iterations", "learning_rate"),
        *("every", "freeze_start", "freeze_level", "finetune_rate"),
    )

    def __init__(
        self,
        blocks,
        iterations,
        learning_rate,
        every=None,
        freeze_start=0.5,
        freeze_level=1.0,
        finetune_rate=None,
    ):
        self._annealed = Annealed(blocks, iterations, learning_rate, finetune_rate=finetune_rate)
        self.finetune_rate = optional(positive, "finetune_rate", finetune_rate)
        self.blocks, self.iterations = self._annealed.blocks, self._annealed.iterations
        self.learning_rate = self._annealed.learning_rate
        self.every = interval(every, self.iterations)
        self.freeze_start = share("freeze_start", freeze_start, zero=True)
        self.freeze_level = share("freeze_level", freeze_level, zero=True)
        if self.freeze_start == 1:
            raise ValueError(
                "freeze_start must be below 1, for blocks to freeze after it. Received: 1"
            )
        if self.iterations / self.every > MOST_DECISIONS:
            raise ValueError(
                f"every must be at least {math.ceil(self.iterations / MOST_DECISIONS):,} for "
                f"{self.iterations:,} iterations. Received: {self.every}"
            )
        ends = np.arange(self.every, self.iterations, self.every)
        frozen = np.floor(snapped(self.blocks * self._frozen_share(ends)))
        first = np.searchsorted(frozen, np.arange(self.blocks), side="right")
        self.last_iterations = np.append(ends, self.iterations)[first].astype(np.float64)

    def _frozen_share(self, iteration):
        elapsed = (iteration / self.iterations - self.freeze_start) / (1 - self.freeze_start)
        return self.freeze_level * np.maximum(elapsed, 0.0)

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64; 0 is frozen."""
        iteration = at(iteration)
        frozen = (iteration >= self.last_iterations) & (iteration < self.iterations)
        return np.where(frozen, 0.0, self._annealed(iteration))


def interval(every, iterations):
    """Iterations between two decisions: `every`, checked, or a tenth of the run."""
    return math.ceil(iterations / 10) if every is None else positive_whole("every", every)
