"""Arrays in `.blk` files, as `blosc.pack_array` writes them, read without running any code.

`blosc.pack_array` compresses a pickle of an array. Here a checksum follows the pickle, within what
is compressed; `blosc.unpack_array` does not look at it.
"""

import functools
import hashlib
import logging
import os
import pickle
import stat
import struct

import blosc
import numpy as np

from batch import checks
from batch.data.array_pickle import NoArrayError, read_array
from batch.files import replacing
from batch.machine import free_memory

MOST_BYTES = blosc.MAX_BUFFERSIZE - 1000  # of an array: a pickle is a little larger
_HEADER = struct.Struct(
    "<4B3I"
)  # versions, flags, size of a value; bytes unpacked, a block, packed
_MOST_RATIOS = {  # bytes that one byte can become, by the three high bits of the flags
    0: 255,  # blosclz, whose lengths of runs are sums of bytes
    1: 255,  # lz4, lz4hc: the same
    2: 64,  # snappy: a copy of 64 bytes
    3: 1032,  # zlib: 258 bytes by two bits
    4: 2**15,  # zstd: a block of 2**17 bytes by four
}
_CHECKSUM = b"blake2b:"  # what stands before 16 bytes of checksum


class BlkError(ValueError):
    """A file that does not hold one plain numeric array."""


def write_blk(path, array):
    """Write an array so that `blosc.unpack_array(file.read())` gives it back, with a checksum.

    The file appears whole or not at all.
    """
    array = checks.numeric("array", array)
    if array.nbytes > MOST_BYTES:
        raise ValueError(
            f"array must have at most {MOST_BYTES:,} bytes. Received: {array.nbytes:,}"
        )
    pickled = pickle.dumps(np.ascontiguousarray(array), pickle.HIGHEST_PROTOCOL)
    with replacing(checks.path("path", path)) as new:
        new.write_bytes(blosc.compress(pickled + _checksum(pickled), array.itemsize))


def read_blk(path):
    """The array in a `.blk` file.

    A line warns of a file without a checksum, as other programs write it.

    Raises
    ------
    BlkError
        If the file holds anything but a plain array of numbers (kinds b, i, u, f), if it is
        damaged, or if there is too little memory.
    OSError
        If it can't be read.
    """
    array, checked = read_checked(path)
    if not checked:
        warn_unchecked(os.fspath(path))
    return array


def read_checked(path):
    """The array in a `.blk` file, and whether the file has a checksum; errors as of `read_blk`."""
    pickled = _unpacked(_packed(checks.path("path", path)))
    try:
        array, end = read_array(pickled)
    except NoArrayError as error:
        raise BlkError(str(error)) from error
    rest = memoryview(pickled)[end:]
    if rest and rest != _checksum(memoryview(pickled)[:end]):
        raise BlkError("its checksum is not that of its array: it is damaged")
    return array, bool(rest)


@functools.cache
def warn_unchecked(*paths):
    """Say in a line, once in a process, that these files have no checksum."""
    logging.getLogger(__name__).warning(
        "No checksum in %s: damage would not be noticed. `resbatch data` writes files with one.",
        ", ".join(paths),
    )


def _checksum(pickled):
    return _CHECKSUM + hashlib.blake2b(pickled, digest_size=16).digest()


def _packed(path):
    """The bytes of a file, if they can be what blosc makes of an array that fits into memory."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise BlkError("it is no regular file")
    with open(path, "rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise BlkError(f"it has {len(header)} bytes, fewer than a header")
        _, _, flags, _, size, block, packed = _HEADER.unpack(header)
        if packed != status.st_size:
            raise BlkError(f"it declares {packed:,} bytes and has {status.st_size:,}")
        most = packed * _MOST_RATIOS.get(flags >> 5, 0)
        if size > min(most, blosc.MAX_BUFFERSIZE):
            raise BlkError(
                f"it declares {size:,} bytes unpacked, and {packed:,} can't become these"
            )
        needed = packed + 2 * size + 3 * min(size, block * blosc.nthreads)
        free = free_memory()
        if needed > free:
            raise BlkError(f"it needs {needed:,} bytes of memory, and {free:,} are free")
        read = header + file.read(packed - len(header))
    if len(read) != packed:
        raise BlkError("it was changed while it was read")
    return read


def _unpacked(packed):
    try:
        return blosc.decompress(packed)
    except Exception as error:  # a crafted file can fail in any way
        raise BlkError("its compressed bytes are damaged") from error
