"""What the cache of frozen blocks should spare a run, by the costs of its blocks."""

import itertools

import numpy as np

from batch.feature_cache.expected import PrefixStage, spared
from batch.feature_cache.stores import STORES
from batch.flops import measured, step_cost
from batch.schedules.stages import iterations_left, leading_frozen, stages, with_classifier
from batch.training.stage_plan import plan_steps, planned_stages


def share_spared(experiment, costs, run, examples):
    """Share of the cost of a run with nothing frozen that the cache should spare.

    Parameters
    ----------
    experiment : Experiment
        With a cache that is settled.
    costs : list of BlockCost
    run : list of PrefixStage
        As from `planned` or `seen`.
    examples : int
        Training images.
    """
    cache = experiment.cache
    if cache == "off" or (experiment.augment and not experiment.views):
        return 0.0
    kind, memory = (cache, 0) if cache in STORES else (None, cache)
    without = spared(
        costs,
        run,
        batch_size=experiment.batch_size,
        examples=examples,
        kind=kind,
        memory=memory,
        views=experiment.views or 1,
    )
    whole = step_cost(measured(costs), (True,) * len(costs), dropping=False)
    return without / (experiment.iterations * whole)


def planned(schedule, costs, experiment):
    """The stages of a run as steps ask the cache, by its schedule."""
    blocks, size = len(costs) - 1, experiment.batch_size
    learns = experiment.learning(blocks)
    together = planned_stages(schedule, blocks, learns)
    groups = plan_steps(costs, together, size) if together else []

    def depth(active):
        frozen = leading_frozen(active)
        return next((first for first, last in groups if first <= frozen <= last), frozen)

    def depth_at(iteration):
        rates = with_classifier(schedule(iteration), blocks)
        return depth(np.where(learns, rates, 0.0))

    return [
        PrefixStage(
            stage.start,
            stage.stop,
            depth(stage.active),
            iterations_left(schedule, depth_at, stage.start),
        )
        for stage in stages(schedule, experiment.iterations, blocks, learns)
    ]


def seen(frozen, blocks):
    """The stages of a run that is over, by how many leading blocks were frozen in it."""
    made, start = [], 0
    for depth, same in itertools.groupby(frozen):
        stop = start + len(list(same))
        whole = depth if depth < blocks else blocks + 1  # the classifier follows the last block
        made.append(PrefixStage(start, stop, whole, len(frozen) - start))
        start = stop
    return made
