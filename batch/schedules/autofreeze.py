"""AutoFreeze: leading blocks freeze when their gradients stop changing; one cosine for all."""

import numpy as np

from batch.checks import finite, not_negative, optional, positive, received, whole
from batch.schedules.config import Configured, at
from batch.schedules.freezeout import Annealed
from batch.schedules.layer_freezing import interval


class AutoFreeze(Configured):
    """Freezes leading blocks whose gradient norms have stopped changing.

    The norms of each block's gradient are summed over an interval: N_i. The relative change from
    the interval before is η_i = |N_i' − N_i| / N_i', where N_i' is the sum before. The given
    percentile of η is taken over the blocks that learn. Blocks before the first block whose η
    reaches it are frozen until the end of the run. So at least one block always learns.

    Parameters
    ----------
    blocks, iterations, learning_rate, finetune_rate
        As for `LayerFreezing`.
    every : int
        Iterations in an interval; a tenth of the run by default.
    percentile : float
        Of the changes of the blocks that learn, 0 to 100.

    Attributes
    ----------
    frozen : int
        Leading blocks frozen so far.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    What is frozen depends on the run, so the saving is not known beforehand. The paper takes the
    norm of the gradient summed over the interval, which needs memory for a second gradient; here
    the norms of the steps are summed. η measures how much the norms changed, not how well a block
    has converged: a cosine that slows all blocks down slows these changes too.

    References
    ----------
    Liu, Agarwal and Venkataraman, AutoFreeze: Automatically Freezing Model Blocks to Accelerate
    Fine-tuning, 2021, section 4.1.

    Examples
    --------
    >>> schedule = AutoFreeze(3, 6, 0.1, every=1)
    >>> schedule.observe(0, [4.0, 4.0, 4.0])
    >>> schedule.observe(1, [3.9, 3.0, 1.0])  # changes of 0.025, 0.25 and 0.75; the median is 0.25
    >>> schedule.frozen
    1
    """

    ARGUMENTS = (
        *("blocks", "iterations", "learning_rate"),
        *("every", "percentile", "finetune_rate"),
    )

    def __init__(
        self, blocks, iterations, learning_rate, every=None, percentile=50.0, finetune_rate=None
    ):
        self._annealed = Annealed(blocks, iterations, learning_rate, finetune_rate=finetune_rate)
        self.finetune_rate = optional(positive, "finetune_rate", finetune_rate)
        self.blocks, self.iterations = self._annealed.blocks, self._annealed.iterations
        self.learning_rate = self._annealed.learning_rate
        self.every = interval(every, self.iterations)
        self.percentile = not_negative("percentile", percentile)
        if self.percentile > 100:
            raise ValueError(f"percentile must be at most 100. {received(percentile)}")
        self.frozen = 0
        self._sums = np.zeros(self.blocks)
        self._before = None

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64; 0 is frozen."""
        iteration = at(iteration)
        frozen = (np.arange(self.blocks) < self.frozen) & (iteration < self.iterations)
        return np.where(frozen, 0.0, self._annealed(iteration))

    def observe(self, iteration, gradient_norms):
        """Take note of a training step.

        Parameters
        ----------
        iteration : int
            Of the step, from 0.
        gradient_norms : array_like, shape (blocks,)
            Euclidean norm of each block's gradient in it; 0 where it was frozen.
        """
        iteration = at(iteration)
        self._sums = self._sums + self._norms("gradient_norms", gradient_norms)
        if (iteration + 1) % self.every or iteration >= self.iterations:
            return
        if self._before is not None:
            self.frozen += self._settled()
        self._before, self._sums = self._sums, np.zeros(self.blocks)

    def _settled(self):
        """How many more leading blocks to freeze: those before the first with a large change."""
        before, now = self._before[self.frozen :], self._sums[self.frozen :]
        learn = before > 0  # the others have nothing to train, or are frozen for good
        if not learn.any():
            return 0
        change = np.abs(before[learn] - now[learn]) / before[learn]
        large = change >= np.percentile(change, self.percentile)
        return int(np.flatnonzero(learn)[np.argmax(large)])

    def get_state(self):
        """What it knows of the run so far, in plain values."""
        before = None if self._before is None else self._before.tolist()
        return {"frozen": self.frozen, "sums": self._sums.tolist(), "before": before}

    def set_state(self, state):
        """Go on from what `get_state` returned."""
        if not isinstance(state, dict) or set(state) != set(self.get_state()):
            raise ValueError(f"state must be what get_state() gives. {received(state)}")
        frozen = whole("frozen in the state", state["frozen"], 0, self.blocks - 1)
        sums = self._norms("sums in the state", state["sums"])
        before = optional(self._norms, "before in the state", state["before"])
        self.frozen, self._sums, self._before = frozen, sums, before

    def _norms(self, name, values):
        """A number of 0 or more for each block, as an array."""
        norms = finite(name, values, (1,))
        if norms.shape != (self.blocks,) or norms.min() < 0:
            raise ValueError(
                f"{name} must be a number of 0 or more for each of the {self.blocks} blocks. "
                f"{received(values)}"
            )
        return norms
