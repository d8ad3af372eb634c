"""Which stages of a run get a compiled step of their own, and which share one.

A step of its own costs time to compile, for every stage. A step that stages share holds each block
that freezes among them twice, active and frozen, in a conditional that the block's rate decides; it
is compiled once, for longer, and is a little slower in every iteration.

What costs less is estimated from the network and the length of the stages, never from the clock: a
compiled step decides the last bits of a result, and the same configuration must give the same bits.
"""

import itertools

from batch.flops import step_cost

# Measured with DenseNet, Wide ResNet and VGG on two cores of an AMD EPYC.
COMPILING = 0.015  # seconds for each convolution or matrix product of the network
COMPILING_CONDITIONAL = 0.13  # seconds for each one in a conditional
SLOWER = 0.03  # a shared step's time beyond that of a step of one's own: 2 to 4 %
SPEED = 5e10  # multiply-adds a second


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
