"""Labels as class numbers, from numbers or one-hot rows. NumPy only."""

import numpy as np

from batch.checks import even

NUMBERED = "np.searchsorted(names, labels) with names = np.unique(labels)"
MEANT = "If classes without examples are meant, give the number of classes"


def class_numbers(labels, classes=None):
    """Labels as class numbers.

    Parameters
    ----------
    labels : array_like, shape (N,), (N, 1) or (N, classes)
        Whole numbers from 0, or one-hot rows.
    classes : int, optional
        Number of classes.

    Returns
    -------
    ndarray, shape (N,), int64

    Raises
    ------
    ValueError
        If labels are empty, of another shape or type, out of range, or not one-hot.
    """
    labels = even("labels", labels)
    if labels.size == 0 or labels.dtype.kind not in "biuf":
        names = labels.size > 0 and labels.dtype.kind in "OSUT"
        raise ValueError(
            f"labels must be numbers, not empty. Received: shape {labels.shape}, {labels.dtype}"
            + (f": of names, give {NUMBERED}" if names else "")
        )
    if _is_one_hot(labels):
        return _from_one_hot(labels, classes)
    if labels.ndim not in (1, 2):
        raise ValueError(
            f"labels must be (N,) or (N, classes). Received: shape {labels.shape}"
            + (", as images have: are the two swapped?" if labels.ndim > 2 else "")
        )
    return _from_numbers(labels.reshape(-1), classes)


def count_classes(*labels):
    """How many classes the labels of a whole dataset have, its splits together.

    That is the width of one-hot labels, otherwise the largest number + 1.

    Raises
    ------
    ValueError
        If they are no labels, or almost surely not labels of so many classes: class numbers that do
        not begin at 0, or leave out more than half of the classes; one-hot rows whose first column
        alone is empty.
    """
    splits = [np.asarray(split) for split in labels]
    present = np.unique(np.concatenate([class_numbers(split) for split in splits]))
    wide = [split.shape[1] for split in splits if _is_one_hot(split)]
    classes = max([int(present[-1]) + 1, *wide])
    empty = classes - len(present)
    if wide:
        if classes > 2 and empty == 1 and present[0] == 1:
            raise ValueError(
                f"labels must have an example of class 0, and the first of {classes} columns alone "
                f"is empty, as where classes are counted from 1: give labels[:, 1:]. {MEANT}"
            )
    elif present[0] > 0:
        raise ValueError(
            f"labels must be counted from 0, and class 0 has no example: give labels - {present[0]}"
            f". Received: values from {present[0]} to {present[-1]}. {MEANT}"
        )
    elif 2 * empty > classes:
        raise ValueError(
            f"labels must be counted 0, 1, 2 …, and {empty} of {classes} classes have no example: "
            f"give {NUMBERED}. Received: {len(present)} values from 0 to {present[-1]}. {MEANT}"
        )
    return classes


def one_hot(labels, classes):
    """One-hot rows, `uint8`, shape `(N, classes)`."""
    return np.eye(classes, dtype=np.uint8)[labels]


def named(numbers):
    """Class numbers in words, the first five of them."""
    shown = ", ".join(map(str, numbers[:5]))
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"class{'es' * (len(numbers) > 1)} {shown}{more}"


def _is_one_hot(labels):
    return labels.ndim == 2 and labels.shape[1] > 1


def _from_numbers(labels, classes):
    if not np.isfinite(labels).all():
        raise ValueError("labels must be finite. Received: NaN or infinite values")
    numbers = labels.astype(np.int64)
    top = numbers.max() if classes is None else classes - 1
    if (numbers != labels).any() or numbers.min() < 0 or numbers.max() > top:
        expected = "0 up" if classes is None else f"0 to {top}"
        from_1 = numbers.min() == 1 and numbers.max() == classes
        raise ValueError(
            f"labels must be whole numbers from {expected}. "
            f"Received: values from {labels.min()} to {labels.max()}"
            + (", counted from 1: give labels - 1" if from_1 else "")
        )
    return numbers


def _from_one_hot(labels, classes):
    if classes is not None and labels.shape[1] != classes:
        raise ValueError(
            f"one-hot labels must be {classes} wide, one column a class. "
            f"Received: shape {labels.shape}"
        )
    if not (((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()):
        raise ValueError("labels of two dimensions must be one-hot: a single 1 in every row.")
    return labels.argmax(axis=1).astype(np.int64)
