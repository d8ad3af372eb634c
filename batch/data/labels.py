"""Labels as class numbers, from numbers or one-hot rows. NumPy only."""

import numpy as np


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
    labels = np.asarray(labels)
    if labels.size == 0 or labels.dtype.kind not in "biuf":
        raise ValueError(
            f"labels must be numbers, not empty. Received: shape {labels.shape}, {labels.dtype}"
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        return _from_one_hot(labels, classes)
    if labels.ndim not in (1, 2):
        raise ValueError(f"labels must be (N,) or (N, classes). Received: shape {labels.shape}")
    return _from_numbers(labels.reshape(-1), classes)


def count_classes(labels):
    """How many classes labels have: their width if one-hot, otherwise the largest + 1."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.shape[1]
    return int(class_numbers(labels).max()) + 1


def one_hot(labels, classes):
    """One-hot rows, `uint8`, shape `(N, classes)`."""
    return np.eye(classes, dtype=np.uint8)[labels]


def _from_numbers(labels, classes):
    if not np.isfinite(labels).all():
        raise ValueError("labels must be finite. Received: NaN or infinite values")
    numbers = labels.astype(np.int64)
    top = numbers.max() if classes is None else classes - 1
    if (numbers != labels).any() or numbers.min() < 0 or numbers.max() > top:
        expected = "0 up" if classes is None else f"0 to {top}"
        raise ValueError(
            f"labels must be whole numbers from {expected}. "
            f"Received: values from {labels.min()} to {labels.max()}"
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
