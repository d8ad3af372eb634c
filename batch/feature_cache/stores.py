"""Where features of examples are kept: in memory, in a mapped file, or compressed with blosc."""

import concurrent.futures
import contextlib
import mmap
import os
import tempfile
import weakref

import blosc
import numpy as np
import tensorflow as tf

BACKLOG = 2  # batches that may wait to be written


class MemoryStore:
    """Features in memory, a row for each example, which a step gathers from without a copy.

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
        Bytes a second, measured on two cores of a Xeon.
    bytes : int
        What its rows take.
    """

    reading, writing = 7e9, 5e8  # a virtual machine gets memory slowly that it never had

    def __init__(self, rows, shape, dtype):
        self.bytes = 0
        self._size = rows * row_bytes(shape, dtype)
        self._features = self._reserved(rows, shape, dtype)
        # A tensor of the same memory: what is written shows in it.
        self._tensor = tf.experimental.dlpack.from_dlpack(self._features.__dlpack__())

    @property
    def unwritten(self):
        """Bytes that are reserved and not taken yet."""
        return self._size - self.bytes

    def _reserved(self, rows, shape, dtype):
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        memory = mmap.mmap(-1, self._size, flags=private)
        with contextlib.suppress(AttributeError, OSError):  # where there are none
            memory.madvise(mmap.MADV_HUGEPAGE)  # first writes are twice as fast
        _in_memory.add(self)
        return np.frombuffer(memory, dtype).reshape(rows, *shape)

    def write(self, rows, features):
        """Keep features, shape `(n, …)`, in rows that were empty."""
        self._features[rows] = features
        self.bytes += features.nbytes

    def read(self, rows):
        """Features of some rows: a tensor, and their places in it."""
        return self._tensor, rows


class MappedStore(MemoryStore):
    """The same in a temporary file that is mapped to memory, and gone when the process is."""

    reading, writing = 1e9, 3e8

    def _reserved(self, rows, shape, dtype):
        with tempfile.TemporaryFile() as file:
            file.truncate(self._size)
            if hasattr(os, "posix_fallocate"):  # or a full disk would end the process later
                os.posix_fallocate(file.fileno(), 0, self._size)
            return np.memmap(file, dtype, "r+", shape=(rows, *shape))


class CompressedStore:
    """The same in memory, every row compressed with blosc."""

    reading, writing = 1e9, 5e8

    def __init__(self, rows, shape, dtype):
        self._shape, self._dtype = shape, dtype
        self._packed = {}
        self.bytes = 0

    def write(self, rows, features):
        """Keep features, shape `(n, …)`, in rows that were empty."""
        for row, one in zip(rows, features):
            self._packed[row] = blosc.compress(one.tobytes(), self._dtype.itemsize, cname="lz4")
            self.bytes += len(self._packed[row])

    def read(self, rows):
        """Features of some rows: a tensor, and their places in it."""
        features = np.empty((len(rows), *self._shape), self._dtype)
        for row, one in zip(rows, features):
            blosc.decompress_ptr(self._packed[row], one.ctypes.data)
        return tf.constant(features), np.arange(len(rows))


def row_bytes(shape, dtype):
    """Bytes of the features of one example."""
    return int(np.prod(shape)) * dtype.itemsize


def as_features(stored):
    """Features as a block takes them, of features as they are stored."""
    return tf.bitcast(stored, tf.bfloat16) if stored.dtype == tf.uint16 else stored


def stored_as(outputs):
    """Shape, of one example, and type of what is stored of a block's outputs, a TensorSpec."""
    dtype = tf.uint16 if outputs.dtype == tf.bfloat16 else outputs.dtype
    return tuple(outputs.shape[1:]), np.dtype(dtype.as_numpy_dtype)


def unwritten():
    """Bytes of memory that stores of this process have reserved and not taken yet."""
    return sum(store.unwritten for store in _in_memory)


_in_memory = weakref.WeakSet()
STORES = {"memory": MemoryStore, "mapped": MappedStore, "compressed": CompressedStore}


class Features:
    """Features after so many blocks, in a store, which another thread writes to.

    Parameters
    ----------
    depth : int
        Blocks that they are those after.
    store : type
        One of `STORES`.
    rows, shape, dtype
        As for the store.

    Attributes
    ----------
    there : ndarray of bool, shape (rows,)
        Which are there, or about to be written.
    """

    _writer = concurrent.futures.ThreadPoolExecutor(1)

    def __init__(self, depth, store, rows, shape, dtype):
        self.depth = depth
        self.store = store(rows, shape, dtype)
        self.there = np.zeros(rows, bool)
        self.row_bytes = row_bytes(shape, dtype)
        self._writing = []
        self._waiting = 0

    @property
    def bytes(self):
        """What they take."""
        return self.store.bytes

    def leave(self):
        """Nothing more will be written: what is there waits to be carried forward."""
        self.settle()
        self._waiting = np.count_nonzero(self.there)

    def left(self, carried):
        """How many examples are still to be carried forward, now that so many more were."""
        self._waiting -= carried
        return self._waiting

    def holds(self, slots):
        """Whether there are features in these slots."""
        inside = slots < len(self.there)
        return inside & self.there[np.where(inside, slots, 0)]

    def write(self, slots, features):
        """Have features written to slots that were empty."""
        self._writing.append(self._writer.submit(self.store.write, slots, features))
        self.there[slots] = True
        if len(self._writing) > BACKLOG:
            self._writing[0].result()
            del self._writing[0]

    def read(self, slots):
        """Features, and the places of these slots in them."""
        self.settle()
        return self.store.read(slots)

    def settle(self):
        """Wait until all is written."""
        for one in self._writing:
            one.result()
        self._writing = []
