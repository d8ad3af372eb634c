"""Arrays on the device: placed once, and anew where rows of them were changed in place."""

import threading
import weakref
import zlib

import numpy as np
import tensorflow as tf

from batch.data.mapped import copied, mapping_of

PART = 2**24  # bytes that are copied at a time, of an array whose rows do not lie in one piece
ALIGNED = 64  # to a multiple of so many bytes, or TensorFlow copies an array

_placed = {}  # (id of an array, …) → Placed
_lock = threading.Lock()  # models in several threads may take the same array


def place_once(array, make, rows=None, *key):
    """What `make` gives for an array: made once, and anew if some of its rows have changed since.

    Parameters
    ----------
    array : array_like, shape (N, …)
        Only what is made of an ndarray of values is kept, as long as that lives.
    make : callable
        From an ndarray to a tensor of its values.
    rows : ndarray of int, shape (n,), optional
        Those that are needed, which are looked at; all by default. Where one of them has changed,
        the tensor is made anew, of all rows as they are now.
    *key
        What distinguishes `make` from other functions that take the same array.
    """
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
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


def as_tensor(array, dtype=None):
    """A tensor of an array's values; of one in a mapped file, the tensor is that file's memory.

    Parameters
    ----------
    array : ndarray
    dtype : dtype, optional
        Of the tensor; the array's own by default. A mapped array of another one, or whose rows do
        not lie in one piece, is copied, to memory or to a temporary file (`mapped.room`).

    Returns
    -------
    tensor
        It does not keep the array, only the mapping.
    """
    kind = array.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    if mapping_of(array) is None or kind.kind not in "biuf":
        return tf.constant(array, dtype)
    at = array.__array_interface__["data"][0]
    if array.dtype != kind or not array.flags.c_contiguous or at % ALIGNED:
        array = copied(array, dtype=kind)
    return tf.experimental.dlpack.from_dlpack(np.asarray(_Memory(array)).__dlpack__())


class _Memory:
    """An array's memory as NumPy takes it: to be written, as DLPack asks, though nobody does."""

    def __init__(self, array):
        self._owner = array if mapping_of(array) is None else mapping_of(array)
        at = array.__array_interface__["data"][0]
        self.__array_interface__ = {**array.__array_interface__, "data": (at, False)}


def _checksums(array, rows=None):
    """A checksum of each row, shape (n,), whatever the array's type and layout in memory."""
    rows = np.arange(len(array)) if rows is None else rows
    size = array[:1].nbytes
    if array.flags.c_contiguous:
        values = memoryview(np.asarray(array).reshape(-1).view(np.uint8))
        starts = (rows * size).tolist()
        return np.array([zlib.crc32(values[at : at + size]) for at in starts], np.uint32)
    step = max(PART // max(size, 1), 1)
    parts = (rows[at : at + step] for at in range(0, len(rows), step))
    return np.concatenate([_checksums(np.ascontiguousarray(array[part])) for part in parts])
