"""Which stages of a run get a compiled step of their own, and which share one.

A step of its own costs time to compile, for every stage. A step that stages share holds each block
that freezes among them twice, active and frozen, in a conditional that the block's rate decides; it
is compiled once, for longer, and is a little slower in every iteration.

What costs less is estimated from the network and the length of the stages, never from the clock: a
compiled step decides the last bits of a result, and the same configuration must give the same bits.
"""

import itertools

import numpy as np

from batch.flops import block_costs, step_cost
from batch.schedules.stages import iterations_left, leading_frozen, stages, with_classifier

# Measured with DenseNet, Wide ResNet and VGG on two cores of an AMD EPYC.
COMPILING = 0.015  # seconds for each convolution or matrix product of the network
COMPILING_CONDITIONAL = 0.13  # seconds for each one in a conditional
SLOWER = 0.03  # a shared step's time beyond that of a step of one's own: 2 to 4 %
SPEED = 5e10  # multiply-adds a second
FEW = 8  # blocks; with no more than these, sharing steps is not worth planning


class StagePlan:
    """Which blocks a schedule has active, until when, and which stages share a step.

    Parameters
    ----------
    schedule : callable
        From the iteration to the rates of the blocks.
    network : keras.Sequential
    learns : sequence of bool
        Whether each block and, last, the classifier may learn, or is frozen for good.

    Attributes
    ----------
    groups : list of (int, int), or None
        `(first, last)`: stages with first … last leading frozen blocks that share a step, planned
        (`plan_steps`) when first asked for unless set before; `[]` for none.
    """

    def __init__(self, schedule, network, learns):
        self.schedule = schedule
        self.learns = learns
        self.groups = None
        self._network = network
        self._blocks = len(network.layers) - 1
        self._stage = 0, 0  # from where on, and until where, the end of a stage is known

    def rates_at(self, iteration):
        """Rates of the blocks and, last, the classifier at an iteration, shape `(blocks + 1,)`.

        What is frozen for good has rate 0.

        Raises
        ------
        ValueError
            If the schedule does not give a rate for each block.
        """
        rates = np.asarray(self.schedule(iteration), dtype=np.float64)
        if rates.shape != (self._blocks,) or not np.isfinite(rates).all() or (rates < 0).any():
            raise ValueError(
                f"The schedule must give {self._blocks} finite rates of 0 or more. "
                f"Received at iteration {iteration}: {rates}"
            )
        return np.where(self.learns, with_classifier(rates), 0.0)

    def active(self, rates, batch_size=None):
        """What a step with these rates is compiled for.

        Parameters
        ----------
        rates : ndarray, shape (blocks + 1,)
        batch_size : int, optional
            Images in a step; needed the first time.

        Returns
        -------
        tuple of bool or None
            Whether each block is active; None where stages share a step that the rate decides in.
        """
        active = tuple((rates > 0).tolist())
        if self.groups is None:
            self.groups = self._plan(batch_size)
        frozen = leading_frozen(active[:-1])
        for first, last in self.groups:
            if first <= frozen <= last and all(active[frozen:]):
                return (False,) * first + (None,) * (last - first) + active[last:]
        return active

    def stage_end(self, iteration):
        """The iteration from which on there is another step, or other blocks are in front."""
        start, end = self._stage
        if not start <= iteration < end:
            end = iteration + self.left_from(iteration)
            self._stage = iteration, end
        return end

    def left_from(self, iteration):
        """Iterations from this one on until there is another step; infinite if nobody knows."""
        return iterations_left(self.schedule, lambda at: self.active(self.rates_at(at)), iteration)

    def _plan(self, batch_size):
        ends = getattr(self.schedule, "last_iterations", None)
        if ends is None or not np.isfinite(ends).all() or self._blocks <= FEW:
            return []
        run = stages(self.schedule, int(np.ceil(np.max(ends))), self.learns)
        return plan_steps(block_costs(self._network), run, batch_size) if len(run) > 1 else []


def plan_steps(costs, stages, batch_size):
    """Groups of stages that share a step.

    Parameters
    ----------
    costs : list of BlockCost
        Of every block, the classifier included.
    stages : list of Stage
        As from `batch.schedules.stages.stages`.
    batch_size : int
        Images in an iteration.

    Returns
    -------
    list of (int, int)
        `(first, last)`: a step for every stage with first … last leading frozen blocks. Stages in
        which other than leading blocks are frozen, or all are, are in none of them.
    """
    leading = [stage for stage in stages if stage.leading]
    if any(one.frozen >= two.frozen for one, two in itertools.pairwise(leading)):
        return []  # blocks that learn again: to each its own
    seconds = [_seconds(costs, stage, batch_size) for stage in leading]
    best = [(0.0, [])]  # least cost of the first stages, and the groups that give it
    for end in range(1, len(leading) + 1):
        choices = []
        for start in range(end):
            cost, groups = best[start]
            first, last = leading[start].frozen, leading[end - 1].frozen
            shared = _cost(costs, first, last, sum(seconds[start:end]))
            choices.append((cost + shared, [*groups, (first, last)]))
        best.append(min(choices))
    return best[-1][1]


def _seconds(costs, stage, batch_size):
    """Estimated time of a stage with a step of its own."""
    return (stage.stop - stage.start) * batch_size * step_cost(costs, stage.active) / SPEED


def _cost(costs, first, last, seconds):
    """Estimated seconds to compile a group's step, and that a shared one is slower."""
    conditional = sum(cost.products for cost in costs[first:last])
    compiled = COMPILING * sum(cost.products for cost in costs)
    slower = SLOWER * seconds if first < last else 0.0
    return compiled + COMPILING_CONDITIONAL * conditional + slower
