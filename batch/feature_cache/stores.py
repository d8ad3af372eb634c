"""Where features of examples are kept: in memory, in a mapped file, or compressed with blosc."""

import concurrent.futures
import contextlib
import mmap
import weakref

import blosc
import numpy as np
import tensorflow as tf

from batch import machine
from batch.data.mapped import temporary_file


class MemoryStore:
    """Features in memory, a row for each example; a step gathers from them without a copy.

    Parameters
    ----------
    rows : int
        Examples that there is room for. Memory is taken when a row is first written.
    shape : tuple of int
        Of the features of one example.
    dtype : dtype
        One that DLPack knows.

    Attributes
    ----------
    reading, writing : float
        Bytes a second (`batch.machine`).
    bytes : int
        What its rows take.
    """

    reading, writing = machine.MEMORY_READING, machine.MEMORY_WRITING

    def __init__(self, rows, shape, dtype):
        self.bytes = 0
        self._size = rows * row_bytes(shape, dtype)
        self._features = self._reserved(rows, shape, dtype)
        # A tensor of the same memory: it shows what is written later.
        self._tensor = tf.experimental.dlpack.from_dlpack(self._features.__dlpack__())

    @property
    def unwritten(self):
        """Bytes that are reserved and not taken yet."""
        return self._size - self.bytes

    def _reserved(self, rows, shape, dtype):
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = mmap.mmap(-1, self._size, flags=private)
        with contextlib.suppress(AttributeError, OSError):  # where there are no huge pages
            memory.madvise(mmap.MADV_HUGEPAGE)  # first writes are twice as fast
        _in_memory.add(self)
        return np.frombuffer(memory, dtype).reshape(rows, *shape)

    def write(self, rows, features):
        """Write features, shape `(n, …)`, to rows that were empty."""
        self._features[rows] = features
        self.bytes += features.nbytes

    def read(self, rows):
        """A tensor of features, and the positions of some rows in it."""
        return self._tensor, rows


class MappedStore(MemoryStore):
    """Features in a temporary file that is mapped to memory; it is gone when the process ends."""

    reading, writing = machine.FILE_READING, machine.FILE_WRITING

    def _reserved(self, rows, shape, dtype):
        return temporary_file((rows, *shape), dtype)


class CompressedStore:
    """Features in memory, every row compressed with blosc."""

    reading, writing = machine.BLOSC_READING, machine.BLOSC_WRITING

    def __init__(self, rows, shape, dtype):
        self._shape, self._dtype = shape, dtype
        self._packed = {}
        self.bytes = 0

    def write(self, rows, features):
        """Write features, shape `(n, …)`, to rows that were empty."""
        for row, values in zip(rows, features):
            packed = blosc.compress(values.tobytes(), self._dtype.itemsize, cname="lz4")
            self._packed[row] = packed
            self.bytes += len(packed)

    def read(self, rows):
        """A tensor of features, and the positions of some rows in it."""
        features = np.empty((len(rows), *self._shape), self._dtype)
        for row, values in zip(rows, features):
            blosc.decompress_ptr(self._packed[row], values.ctypes.data)
        return tf.constant(features), np.arange(len(rows))


def row_bytes(shape, dtype):
    """Bytes of the features of one example."""
    return int(np.prod(shape)) * dtype.itemsize


def as_features(stored):
    """Stored features as a block takes them: bfloat16 is stored as uint16."""
    return tf.bitcast(stored, tf.bfloat16) if stored.dtype == tf.uint16 else stored


def as_stored(features):
    """Features as they are stored; the inverse of `as_features`."""
    return tf.bitcast(features, tf.uint16) if features.dtype == tf.bfloat16 else features


def stored_as(outputs):
    """How a block's outputs, a TensorSpec, are stored: shape of one example, and NumPy type."""
    dtype = tf.uint16 if outputs.dtype == tf.bfloat16 else outputs.dtype
    return tuple(outputs.shape[1:]), np.dtype(dtype.as_numpy_dtype)


def unwritten():
    """Bytes of memory that stores of this process have reserved and not taken yet."""
    return sum(store.unwritten for store in _in_memory)


_in_memory = weakref.WeakSet()
STORES = {"memory": MemoryStore, "mapped": MappedStore, "compressed": CompressedStore}


class Features:
    """Features after some blocks, in a store that another thread writes to.

    Parameters
    ----------
    depth : int
        How many blocks.
    store : type
        One of `STORES`.
    rows, shape, dtype
        As for the store.

    Attributes
    ----------
    present : ndarray of bool, shape (rows,)
        Which rows are written, or about to be.
    """

    _writer = concurrent.futures.ThreadPoolExecutor(1)

    def __init__(self, depth, store, rows, *, shape, dtype):
        self.depth = depth
        self.store = store(rows, shape, dtype)
        self.present = np.zeros(rows, bool)
        self.row_bytes = row_bytes(shape, dtype)
        self._writing = []
        self._to_carry = 0

    @property
    def bytes(self):
        """Bytes that they take."""
        return self.store.bytes

    def close(self):
        """End writing; from now on the features wait to be carried forward through more blocks."""
        self.settle()
        self._to_carry = np.count_nonzero(self.present)

    def count_carried(self, carried):
        """Note that so many more examples were carried forward.

        Returns
        -------
        int
            How many still wait.
        """
        self._to_carry -= carried
        return self._to_carry

    def holds(self, slots):
        """Whether there are features in these slots."""
        inside = slots < len(self.present)
        return inside & self.present[np.where(inside, slots, 0)]

    def write(self, slots, features, rows):
        """Have the other thread write some rows of features, a tensor, to slots that were empty."""

        def write():
            self.store.write(slots, features.numpy()[rows])

        self._writing.append(self._writer.submit(write))
        self.present[slots] = True
        if len(self._writing) > machine.WRITE_BACKLOG:
            self._writing[0].result()
            del self._writing[0]

    def read(self, slots):
        """A tensor of features, and the positions of these slots in it."""
        self.settle()
        return self.store.read(slots)

    def settle(self):
        """Wait until all is written."""
        for writing in self._writing:
            writing.result()
        self._writing = []
