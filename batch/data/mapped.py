"""Arrays that may be larger than memory: files mapped to it, of which what is in use is read."""

import mmap
import os
import tempfile

import numpy as np

from batch.machine import ARRAY_SHARE, free_memory

PART = 2**24  # bytes that are worked on at a time


def mapping_of(array):
    """The mapped file that an array lies in; None if it lies in memory of its own."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


def loaded(path):
    """The array in an `.npy` file: in memory if it fits there well, or else mapped, read-only."""
    return np.load(path, mmap_mode=None if _fits(path.stat().st_size) else "r")


def new_file(path, shape):
    """A new `.npy` file of `uint8`, mapped to be written."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    with open(path, "r+b") as file:
        _reserve(file, path.stat().st_size)
    return array


def temporary_file(shape, dtype):
    """An array in a temporary file that is mapped to memory; it is gone when the process ends.

    Raises
    ------
    OSError
        If the disk has no room for it.
    """
    size = _bytes(shape, dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        _reserve(file, size)
        return np.memmap(file, dtype, "r+", shape=shape)


def room(shape, dtype, source):
    """An array for what is made of a source: in memory, as far as the source or it fits there.

    Raises
    ------
    OSError
        If it does not, and the disk has no room for a temporary file either.
    """
    size = _bytes(shape, dtype)
    if mapping_of(source) is None or _fits(size):
        return np.empty(shape, dtype)
    try:
        return temporary_file(shape, dtype)
    except OSError as error:
        what = f"{size / 1e9:.1f} GB made of mapped images have no room: {error.strerror}"
        raise OSError(error.errno, what, tempfile.gettempdir()) from error


def copied(array, rows=None, dtype=None):
    """A copy of an array, or of some of its rows, where there is room for it."""
    count = len(array) if rows is None else len(rows)
    dtype = array.dtype if dtype is None else dtype
    made = room((count, *array.shape[1:]), dtype, array)
    copy_rows(array, rows, made)
    return made


def copy_rows(array, rows, target):
    """Copy rows of an array, all if they are None, to another, a part at a time."""
    for some in slices(target):
        target[some] = array[some if rows is None else rows[some]]


def slices(array):
    """Slices of rows that take a bounded number of bytes, from the first row to the last."""
    step = max(PART // max(array[:1].nbytes, 1), 1)
    for start in range(0, len(array), step):
        yield slice(start, start + step)


def all_of(array, check):
    """Whether a function of arrays is true of all values of an array, asked a part at a time."""
    return all(check(array[rows]).all() for rows in slices(array))


def _fits(size):
    """Whether so many bytes fit into memory well."""
    return size <= ARRAY_SHARE * free_memory()


def _bytes(shape, dtype):
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _reserve(file, size):
    """Take the room of a file on the disk, or a full disk would end the process later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
