"""Arrays in `.blk` files, as `blosc.pack_array` writes them, read without running any code.

`blosc.pack_array` compresses a pickle, and a pickle can call any function that it names. The reader
here checks the declared size first. Then it unpickles with only those functions that a plain
numeric array needs, and each of them checks its arguments.
"""

import io
import pickle

import blosc
import numpy as np

from batch import checks
from batch.files import replacing

LARGEST = 8 * 2**30  # bytes that a file may declare to hold
LARGEST_WRITTEN = 2**31 - 2**16  # bytes of an array that blosc takes, with its pickle's few beside


class BlkError(ValueError):
    """A file that does not hold one plain numeric array."""


def write_blk(path, array):
    """Write an array so that `blosc.unpack_array(file.read())` gives it back.

    The file appears whole or not at all.
    """
    array = checks.numeric("array", array)
    with replacing(checks.path("path", path)) as new:
        new.write_bytes(blosc.pack_array(np.ascontiguousarray(array)))


def read_blk(path):
    """The array in a `.blk` file.

    Raises
    ------
    BlkError
        If the file holds anything but a plain array of numbers (kinds b, i, u, f).
    OSError
        If it can't be read.
    """
    with open(checks.path("path", path), "rb") as file:
        packed = file.read()
    try:
        size, packed_size, _ = blosc.get_cbuffer_sizes(packed)
        if packed_size != len(packed) or size > LARGEST:
            raise BlkError(f"it declares {packed_size} bytes packed, {size} unpacked")
        array = _Reader(io.BytesIO(blosc.decompress(packed)), encoding="latin1").load()
    except BlkError:
        raise
    except Exception as error:  # a crafted file can fail in any way
        raise BlkError(f"{type(error).__name__}: {error}") from error
    if not (isinstance(array, np.ndarray) and _is_plain(array.dtype)):
        raise BlkError(f"it holds a {type(array).__name__}, not a plain array of numbers")
    return array


class _Reader(pickle.Unpickler):
    """Unpickles an array of numbers and nothing else."""

    def find_class(self, module, name):
        try:
            return _ADMITTED[module.replace("numpy.core", "numpy._core"), name]
        except KeyError:
            raise BlkError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid):
        raise BlkError("it refers to data outside the file")


def _dtype(code, *_):
    if not isinstance(code, str) or not _is_plain(np.dtype(code)):
        raise BlkError(f"it holds values of type {code!r}")
    return np.dtype(code, copy=True)  # a copy, since the pickle may set its byte order


def _from_buffer(buffer, dtype, shape, order):  # by position, as the pickle calls it
    if not _is_plain(dtype):
        raise BlkError(f"it holds values of type {dtype}")
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _encode(text, encoding):
    if encoding != "latin1":
        raise BlkError(f"it encodes text as {encoding!r}")
    return text.encode("latin1")


def _reconstruct(kind, shape, code):
    if kind is not _ndarray or tuple(shape) != (0,):
        raise BlkError("it builds something else than an array")
    return np.ndarray((0,), np.int8)


def _ndarray(*_):
    raise BlkError("it builds an array by hand")


def _is_plain(dtype):
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.subdtype is None


_ADMITTED = {
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): _ndarray,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,  # today's pickles
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # older ones
    ("_codecs", "encode"): _encode,  # bytes in the oldest
}
