"""The examples of one call of a model: fed by name or by position, checked, on the device."""

import dataclasses

import numpy as np
import tensorflow as tf

from batch import arrays
from batch.losses import weighted_mean


@dataclasses.dataclass(frozen=True)
class Examples:
    """Some rows of images and labels.

    Attributes
    ----------
    images : tensor, shape (N, H, W, C)
    labels : tensor, shape (N,), int64
    rows : ndarray, shape (n,), int64
        Which of them are meant.
    weights : ndarray, shape (n,), or None
        How much each of the rows counts.
    numbers : ndarray, shape (n,), or None
        Which example of the dataset each of the rows is, if that was told.
    """

    images: tf.Tensor
    labels: tf.Tensor
    rows: np.ndarray
    weights: np.ndarray | None
    numbers: np.ndarray | None = None

    def chosen(self):
        """Labels of the rows, shape (n,)."""
        return tf.gather(self.labels, self.rows)

    def mean(self, values):
        """The (weighted) mean of a value for each row, a float."""
        return float(weighted_mean(values, self.weights))


def place_examples(inputs, feed, rows):
    """Examples from what a model was fed.

    Parameters
    ----------
    inputs : Inputs
        What the model takes.
    feed : dict
        From `Inputs.read_feed`; without labels, the examples have class 0.
    rows : array_like of int, or None
        All by default.

    Raises
    ------
    ValueError
        If something does not fit the network, or the rest.
    """
    images, labels = feed["images"], feed["labels"]
    shape = arrays.image_shape(images)
    if shape != inputs.shape:
        raise ValueError(f"The network takes images of shape {inputs.shape}. Received: {shape}")
    indices = feed["indices"]
    if indices is not None and np.shape(indices) != (len(images),):
        raise ValueError(
            f"indices must be an example's number for each of the {len(images)} images. "
            f"Received: shape {np.shape(indices)}"
        )
    if labels is None:
        labels = np.zeros(len(images), np.int64)
    images, labels = arrays.place(images, labels, inputs.classes)
    rows = arrays.row_numbers(rows, len(images))
    numbers = None if indices is None else np.asarray(indices)[rows]
    return Examples(images, labels, rows, _weights(feed["loss_weights"], len(rows)), numbers)


def _weights(weights, count):
    if weights is None:
        return None
    weights = np.asarray(weights, dtype=np.float32)
    if weights.shape != (count,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            f"loss_weights must be a finite number of 0 or more for each of the {count} rows. "
            f"Received: shape {weights.shape}"
            + (f", from {weights.min()} to {weights.max()}" if weights.size else "")
        )
    return weights
