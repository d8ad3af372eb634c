"""Whether to keep what a frozen prefix computes: estimated, never measured.

A cache gives the same losses as none, to the last bit, so the choice decides nothing but time. It
follows from multiply-adds, bytes and iterations left.
"""

import dataclasses
import shutil
import tempfile

import numpy as np

from batch.feature_cache.stores import STORES, unwritten
from batch.runtime import free_memory

SPEED = 1e11  # multiply-adds a second, forward only, of a small network on two cores of a Xeon
SHARE = 0.5  # of the free memory, and of the free space for temporary files, that 'auto' takes
MANY = 1000  # visits of an example, where nothing says how long training goes on


@dataclasses.dataclass(frozen=True)
class Place:
    """Where features could be kept.

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
class Kept:
    """What is kept already: features after the first blocks, `row_bytes` an example in a store."""

    depth: int = 0
    row_bytes: int = 0
    bytes: int = 0
    store: type = STORES["memory"]


def choose(costs, row_bytes, visits, kept, room, must=False):
    """What a stage begins with: what is kept already, or a store of its own, and how it is filled.

    Parameters
    ----------
    costs : list of float
        Multiply-adds of each block of the prefix, forward, for one image.
    row_bytes : int
        Bytes of an example's features after the prefix.
    visits : float
        How often an example will be needed while these blocks are the frozen ones.
    kept : Kept
    room : callable
        From the bytes of a row, and the bytes that stay taken beside it, to a `Place` or None.
    must : bool
        Keep it, whether or not it pays.

    Returns
    -------
    place : Place or None
        None to begin with what is kept and compute the rest in every step.
    carried : bool
        Whether what is kept is carried forward, or all is computed from the images.
    """
    reading = kept.row_bytes / kept.store.reading
    rest = sum(costs[kept.depth :]) / SPEED
    best = np.inf if must else visits * (reading + rest), None, False
    ways = [(sum(costs) / SPEED, 0, False)]
    if kept.depth:
        ways.insert(0, (reading + rest, kept.bytes, True))
    for filling, beside, carried in ways:
        place = room(row_bytes, beside)
        if place is None:
            continue
        once = filling + row_bytes / place.store.writing
        seconds = once + visits * row_bytes / place.store.reading
        if seconds < best[0]:
            best = seconds, place, carried
    return best[1:]


class Room:
    """Where there is room, under the rules of a `PrefixCache`.

    Parameters
    ----------
    storage : str or float
        As for `PrefixCache`.
    examples : int or None
        How many there are, if that is known; otherwise room is for as many as memory holds.
    seen : int
        How many were seen already, for which there must be room.
    """

    def __init__(self, storage, examples, seen=0):
        self._storage = storage
        self._examples = examples
        self._seen = seen

    def __call__(self, row_bytes, beside):
        """A `Place` for features of so many bytes an example beside others, or None."""
        if self._storage in ("memory", "compressed"):  # the user knows
            return self._place(self._storage, row_bytes, self._memory(0), np.inf)
        place = None
        if self._storage != "mapped":
            memory = self._memory(beside)
            place = self._place("memory", row_bytes, memory, memory)
        if not place and self._examples:  # else, how large would the file have to be?
            place = self._place("mapped", row_bytes, 0, SHARE * _free_space())
        return place

    def _place(self, kind, row_bytes, room, most):
        """For all examples, or as many as there is room for, in so many bytes at most."""
        rows = self._examples or int(room // row_bytes)
        enough = rows >= max(self._seen, 1) and rows * row_bytes <= most
        return Place(STORES[kind], rows) if enough else None

    def _memory(self, beside):
        """Bytes that may be taken beside others that are; free memory does not hold those."""
        if not isinstance(self._storage, str):
            return self._storage - beside
        return SHARE * (free_memory() - unwritten())


def count_visits(left, batch_size, examples):
    """How often an example will be needed in the iterations that are left.

    Parameters
    ----------
    left : float
        Iterations; infinite where nobody knows.
    batch_size : int
    examples : int or None
        How many there are, if that is known; otherwise each is taken to come every time.
    """
    share = batch_size / examples if examples else 1
    return float(np.clip(left * share, 0, MANY))


def _free_space():
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:  # no folder for temporary files
        return 0
