"""Arrays on the device: placed once, and anew where rows of them were changed in place."""

import threading
import weakref
import zlib

import numpy as np

PART = 2**24  # bytes of an array that are copied at a time

_placed = {}  # (id of an array, …) → Placed
_lock = threading.Lock()  # models in several threads may take the same array


def place_once(array, make, rows=None, *key):
    """What `make` gives for an array: made once, and anew if some of its rows have changed since.

    Parameters
    ----------
    array : array_like, shape (N, …)
        Only what is made of an ndarray is kept, as long as that lives.
    make : callable
        From an ndarray to a tensor of its values.
    rows : ndarray of int, shape (n,), optional
        Those that are needed, which are looked at; all by default. Where one of them has changed,
        the tensor is made anew, of all rows as they are now.
    *key
        What distinguishes `make` from other functions that take the same array.
    """
    if not isinstance(array, np.ndarray):
        return make(np.asarray(array))
    slot = id(array), *key
    with _lock:
        held = _placed.get(slot)
        if held is None or not held.is_of(array, rows):
            held = _placed[slot] = Placed(array, make, lambda _: _placed.pop(slot, None))
        return held.made


class Placed:
    """What was made of an array, and checksums of the rows as they were then.

    Parameters
    ----------
    array, make
        As for `place_once`.
    forget : callable
        Called when the array is gone.
    """

    def __init__(self, array, make, forget):
        self._array = weakref.ref(array, forget)
        self._form = array.shape, array.dtype
        self._checksums = _checksums(array)  # first: what changes meanwhile must be noticed
        self.made = make(array)

    def is_of(self, array, rows=None):
        """Whether it was made of this very array, and of these rows as they are now."""
        if self._array() is not array or self._form != (array.shape, array.dtype):
            return False
        then = self._checksums if rows is None else self._checksums[rows]
        return np.array_equal(then, _checksums(array, rows))


def _checksums(array, rows=None):
    """A checksum of each row, shape (n,), whatever the array's type and layout in memory."""
    rows = np.arange(len(array)) if rows is None else rows
    size = max(array[:1].nbytes, 1)
    step = max(PART // size, 1)
    sums = []
    for at in range(0, len(rows), step):
        values = memoryview(array[rows[at : at + step]].tobytes())
        sums += [zlib.crc32(values[row : row + size]) for row in range(0, len(values), size)]
    return np.array(sums, np.uint32)
