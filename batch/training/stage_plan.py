"""Which stages of a run get a compiled step of their own, and which share a step.

With steps of their own, every stage takes time to compile one. A step that stages share is compiled
once. It holds each block that freezes in these stages twice, active and frozen, in a conditional
that the block's rate decides. So it takes longer to compile and is a little slower in every
iteration.

The cheaper way is estimated from the network and the length of the stages, with the constants of
`batch.machine`. It is not measured: the compiled steps decide the last bits of a result, and the
same configuration must give the same bits.
"""

import itertools

import numpy as np

from batch import machine
from batch.flops import block_costs, step_cost
from batch.schedules.stages import (
    are_rates,
    iterations_left,
    leading_frozen,
    stages,
    with_classifier,
)


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
        `(first, last)`: the stages with first … last leading frozen blocks share a step; `[]` if
        none do. None until the first step, which plans them (`plan_steps`), unless they were set.
    """

    def __init__(self, schedule, network, learns):
        self.schedule = schedule
        self.learns = learns
        self.groups = None
        self._network = network
        self._blocks = len(network.layers) - 1
        self._stage = 0, 0  # iterations [start, end) for which the end of their stage is known

    def rates_at(self, iteration):
        """Rates of the blocks and, last, the classifier at an iteration, shape `(blocks + 1,)`.

        What is frozen for good has rate 0.

        Raises
        ------
        ValueError
            If the schedule does not give a rate for each block.
        """
        rates = np.asarray(self.schedule(iteration), dtype=np.float64)
        if not are_rates(rates, self._blocks):
            raise ValueError(
                f"The schedule must give {self._blocks} finite rates of 0 or more. "
                f"Received at iteration {iteration}: {rates}"
            )
        return np.where(self.learns, with_classifier(rates, self._blocks), 0.0)

    def active(self, rates, batch_size=None):
        """Which blocks are active in the step for these rates.

        Parameters
        ----------
        rates : ndarray, shape (blocks + 1,)
        batch_size : int, optional
            Images in a step; needed the first time.

        Returns
        -------
        tuple of bool or None
            One for each block, the classifier last. None: the block's rate decides in the step.
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
        """The first iteration after this one that needs another step; infinite if not known."""
        start, end = self._stage
        if not start <= iteration < end:
            end = iteration + self.left_from(iteration)
            self._stage = iteration, end
        return end

    def left_from(self, iteration):
        """Iterations, this one included, until another step; infinite if that is not known."""
        return iterations_left(self.schedule, lambda at: self.active(self.rates_at(at)), iteration)

    def _plan(self, batch_size):
        run = planned_stages(self.schedule, self._blocks, self.learns)
        return plan_steps(block_costs(self._network), run, batch_size) if run else []


def planned_stages(schedule, blocks, learns=None):
    """The stages of a schedule that may share steps; `[]` if none do.

    Parameters
    ----------
    schedule, blocks, learns
        As for `batch.schedules.stages.stages`.
    """
    ends = getattr(schedule, "last_iterations", None)
    if ends is None or not np.isfinite(ends).all() or blocks <= machine.FEW_BLOCKS:
        return []
    run = stages(schedule, int(np.ceil(np.max(ends))), blocks, learns)
    return run if len(run) > 1 else []


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
        `(first, last)`: the stages with first … last leading frozen blocks share a step. Stages in
        which all blocks are frozen, or others than leading ones, are in no group.
    """
    leading = [stage for stage in stages if stage.leading]
    if any(stage.frozen >= after.frozen for stage, after in itertools.pairwise(leading)):
        return []  # blocks learn again: each stage gets its own step
    seconds = [_seconds(costs, stage, batch_size) for stage in leading]
    best = [(0.0, [])]  # for 0, 1, … of the stages: the least cost, and its groups
    for end in range(1, len(leading) + 1):
        choices = []
        for start in range(end):
            cost, groups = best[start]
            first, last = leading[start].frozen, leading[end - 1].frozen
            shared = _cost(costs, first, last, seconds=sum(seconds[start:end]))
            choices.append((cost + shared, [*groups, (first, last)]))
        best.append(min(choices))
    return best[-1][1]


def _seconds(costs, stage, batch_size):
    """Estimated time of a stage with a step of its own."""
    iterations = stage.stop - stage.start
    return iterations * batch_size * step_cost(costs, stage.active) / machine.STEP_SPEED


def _cost(costs, first, last, *, seconds):
    """Seconds that a group's step takes to compile, and by which it is slower if it is shared."""
    conditional = sum(cost.products for cost in costs[first:last])
    compiling = machine.COMPILE_SECONDS * sum(cost.products for cost in costs)
    slower = machine.SHARED_STEP_SLOWDOWN * seconds if first < last else 0.0
    return compiling + machine.COMPILE_SECONDS_CONDITIONAL * conditional + slower
