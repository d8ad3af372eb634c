"""Whether to cache the features after a frozen prefix, and where.

The choice follows from multiply-adds, bytes and the iterations left, with the machine's speeds as
constants. It is never measured. How much memory there is was asked once, when the model was made or
its experiment began (`memory_for_features`).
"""

import dataclasses
import shutil
import tempfile

import numpy as np

from batch import machine
from batch.feature_cache.stores import STORES, unwritten
from batch.machine import free_memory


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where features can be kept.

    Attributes
    ----------
    store : type
        One of `batch.feature_cache.stores.STORES`.
    rows : int
        Examples that there is room for.
    """

    store: type
    rows: int


@dataclasses.dataclass(frozen=True)
class CacheState:
    """What the cache holds already: features after the first `depth` blocks.

    Attributes
    ----------
    depth : int
        0 if it holds nothing.
    row_bytes : int
        Of the features of one example.
    bytes : int
        Of all features.
    store : type
        One of `batch.feature_cache.stores.STORES`.
    """

    depth: int = 0
    row_bytes: int = 0
    bytes: int = 0
    store: type = STORES["memory"]


def choose(costs, row_bytes, visits, *, state, find_placement, must=False):
    """What a stage begins with: the features cached already, or new ones in a store of their own.

    Parameters
    ----------
    costs : list of float
        Multiply-adds of each block of the prefix, forward, for one image.
    row_bytes : int
        Bytes of an example's features after the prefix.
    visits : float
        How often an example will be needed while these blocks are the frozen ones.
    state : CacheState
    find_placement : callable
        From the bytes of a row, and the bytes that stay taken beside them, to a `Placement`, or
        None where there is no room.
    must : bool
        Choose a new store even if it does not pay.

    Returns
    -------
    placement : Placement or None
        None to begin with the features cached already and compute the rest in every step.
    carried : bool
        Whether the new features are computed from the cached ones, or else from the images.
    """
    reading = state.row_bytes / state.store.reading
    rest = sum(costs[state.depth :]) / machine.FORWARD_SPEED
    best = np.inf if must else visits * (reading + rest), None, False
    ways = [(sum(costs) / machine.FORWARD_SPEED, 0, False)]
    if state.depth:
        ways.insert(0, (reading + rest, state.bytes, True))
    for filling, beside, carried in ways:
        placement = find_placement(row_bytes, beside)
        if placement is None:
            continue
        once = filling + row_bytes / placement.store.writing
        seconds = once + visits * row_bytes / placement.store.reading
        if seconds < best[0]:
            best = seconds, placement, carried
    return best[1:]


def memory_for_features(models=1):
    """Bytes of memory that the features of a model may take, by what is free now.

    Parameters
    ----------
    models : int
        How many will share the memory.
    """
    return max(int(machine.CACHE_SHARE * (free_memory() - unwritten()) / models), 0)


class Budget:
    """How much room features may take, by the rules of a `PrefixCache`.

    Parameters
    ----------
    kind : str or None
        The store that was asked for, of `STORES`; None for one where there is room.
    memory : float
        Bytes that features may take in memory.
    examples : int or None
        How many there are. If that is not known, there is room for as many as memory holds.
    seen : int
        How many were seen already. There must be room for these.
    """

    def __init__(self, kind, memory, examples, seen=0):
        self._kind = kind
        self._all_memory = memory
        self._examples = examples
        self._seen = seen

    def placement(self, row_bytes, beside):
        """A `Placement` for features of so many bytes an example beside others, or None."""
        if self._kind in ("memory", "compressed"):  # the user knows
            return self._fit(self._kind, row_bytes, self._all_memory)
        placement = None
        if self._kind != "mapped":
            memory = self._all_memory - beside
            placement = self._fit("memory", row_bytes, memory, most=memory)
        if not placement and self._examples:  # a file's size must be known beforehand
            space = machine.CACHE_SHARE * _free_space()
            placement = self._fit("mapped", row_bytes, 0, most=space)
        return placement

    def _fit(self, kind, row_bytes, room, *, most=np.inf):
        """Space for all examples, or as many as fit; None if it takes more than `most` bytes."""
        rows = self._examples or int(room // row_bytes)
        enough = rows >= max(self._seen, 1) and rows * row_bytes <= most
        return Placement(STORES[kind], rows) if enough else None


def count_visits(left, batch_size, examples):
    """How often an example will be needed in the iterations that are left.

    Parameters
    ----------
    left : float
        Iterations; infinite where that is not known.
    batch_size : int
    examples : int or None
        How many there are. If that is not known, each example counts as needed in every iteration.
    """
    share = batch_size / examples if examples else 1
    return float(np.clip(left * share, 0, machine.MOST_VISITS))


def _free_space():
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:  # no folder for temporary files
        return 0
