"""What the cache should spare a run in which every epoch visits each example once, in one view."""

import dataclasses
import itertools
import math

from batch.feature_cache.placement import Budget, CacheState, choose, count_visits
from batch.flops import measured


@dataclasses.dataclass(frozen=True)
class PrefixStage:
    """Iterations `start` … `stop` − 1 of a run, in which steps ask the cache for the same blocks.

    Attributes
    ----------
    start, stop : int
    depth : int
        Leading frozen blocks.
    left : float
        The `left` that `PrefixCache.features` takes at the start.
    """

    start: int
    stop: int
    depth: int
    left: float


@dataclasses.dataclass(frozen=True)
class Held:
    """Features that are cached.

    Attributes
    ----------
    depth : int
        Blocks that they follow; 0 if there are none.
    base : int
        Blocks before those that they are computed from, as long as some are missing.
    filled : float
        The iteration from which none is missing.
    state : CacheState
    """

    depth: int = 0
    base: int = 0
    filled: float = math.inf
    state: CacheState = dataclasses.field(default_factory=CacheState)


def spared(costs, stages, *, batch_size, examples, kind, memory, views=1):
    """What steps do not compute, over all iterations, in multiply-adds for one image.

    Costs that were measured count in seconds. What is kept is decided by multiply-adds.

    Parameters
    ----------
    costs : list of BlockCost
        Of all blocks, the classifier included.
    stages : list of PrefixStage
    batch_size, examples : int
    kind, memory
        As for `Budget`.
    views : int
        Of each example, seen in turn; each is kept.
    """
    ahead = list(itertools.accumulate((cost.frozen() for cost in measured(costs)), initial=0))
    slots = examples * views
    budget = Budget(kind, memory, slots)
    total, asked, held = 0, 0, Held()
    for stage in stages:
        if stage.depth < asked:  # blocks learn again
            asked, held = 0, Held()
        if stage.depth > asked:
            asked = stage.depth
            visits = count_visits(stage.left, batch_size, examples) / views
            placement, carried = choose(
                [cost.forward for cost in costs[:asked]],
                costs[asked - 1].features,
                visits,
                state=held.state,
                find_placement=budget.placement,
                must=kind is not None,
            )
            if placement:
                size = costs[asked - 1].features
                state = CacheState(asked, size, bytes=size * slots, store=placement.store)
                base = held.depth if carried and held.filled <= stage.start else 0
                filled = _filled(stage.start, batch_size, examples, views)
                held = Held(asked, base, filled, state)
        filling = min(max(held.filled - stage.start, 0), stage.stop - stage.start)
        reading = stage.stop - stage.start - filling
        total += filling * ahead[held.base] + reading * ahead[held.depth]
    return total


def _filled(start, batch_size, examples, views):
    """The iteration from which all views of all examples have been visited since `start`.

    After a start within an epoch, that is the end of the next one that has the same views: until
    then, nearly every batch has an example whose view was not seen since.
    """
    epochs = math.ceil(start * batch_size / examples) + views
    return math.ceil(epochs * examples / batch_size)
