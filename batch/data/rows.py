"""Which rows of arrays are meant, and which examples. NumPy only."""

import hashlib
import numbers

import numpy as np

from batch.nested import countable


def row_numbers(rows, count):
    """Positions of rows.

    Parameters
    ----------
    rows : array_like of int, shape (n,), or of bool, shape (count,), optional
        Positions, in any order and as often as wanted; or a mask, which stands for the places where
        it is True. All rows by default.
    count : int
        How many rows there are.

    Returns
    -------
    ndarray, shape (n,), int64

    Raises
    ------
    ValueError
        If they are no whole numbers below `count`, or none at all, or a mask of another length.
    """
    if rows is None:
        return np.arange(count)
    values = _array("rows", rows)
    if values.dtype == bool and values.shape == (count,):
        values = np.flatnonzero(values)
    whole = values.ndim == 1 and values.dtype.kind in "iu"
    if not whole or values.size == 0 or values.min() < 0 or values.max() >= count:
        raise ValueError(
            f"rows must be rows of the {count} images: whole numbers from 0 to {count - 1}, or a "
            f"boolean mask of shape ({count},). Received: {_described(values, whole)}"
        )
    return values.astype(np.int64)


def example_ids(ids, rows, count):
    """Ids of some examples.

    Parameters
    ----------
    ids : array_like of int or str, shape (count,)
        A number or a name for each of all examples.
    rows : ndarray of int, shape (n,)
        Positions of those that are meant.
    count : int
        How many examples there are.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        If they are no numbers or names, or not as many.
    """
    values = _array("indices", ids)
    if values.shape != (count,) or not are_ids(values[rows]):
        raise ValueError(
            f"indices must be an id, a name or a whole number for each of the {count} images. "
            f"Received: {_described(values)}"
        )
    return values[rows]


def are_ids(values):
    """Whether all values of an array are names or whole numbers, which tell examples apart."""
    if values.dtype != object:
        return values.dtype.kind in "iuSU"
    return all(
        isinstance(value, (str, numbers.Integral)) and not isinstance(value, bool)
        for value in values
    )


def id_numbers(ids):
    """A number for each id, the same in every process: a whole number is its own.

    Parameters
    ----------
    ids : ndarray of int or str, shape (n,)

    Returns
    -------
    ndarray, shape (n,), uint64
    """
    if ids.dtype.kind in "iu":
        return ids.astype(np.uint64)
    return np.array([_id_number(value) for value in ids.tolist()], np.uint64)


def _id_number(value):
    if isinstance(value, numbers.Integral):
        return int(value) % 2**64
    text = value if isinstance(value, bytes) else value.encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _array(name, values):
    """An array of these values; of objects, if some are masked, or only some are truth values."""
    countable(name, values)
    given = values if isinstance(values, (list, tuple)) else ()
    mixed = len({isinstance(value, (bool, np.bool_)) for value in given}) > 1
    try:
        return np.asarray(values, object if mixed or np.ma.is_masked(values) else None)
    except ValueError:  # rows of different lengths
        return np.asarray(None)


def _described(values, in_numbers=False):
    if values.size == 0:
        return "none"
    if in_numbers:
        return f"{values.min()} … {values.max()}"
    return f"shape {values.shape}, {values.dtype}"
