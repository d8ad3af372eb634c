"""From the arguments of a model's call to `Examples`; each array moves to the device only once."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from batch.checks import even, instance, numeric
from batch.data.examples import Examples
from batch.data.labels import class_numbers
from batch.data.mapped import all_of
from batch.data.rows import example_ids, row_numbers
from batch.data.scales import Pixels
from batch.models.pixels import check_scale
from batch.models.placed import as_tensor, place_once
from batch.spelling import did_you_mean

FEED = ("images", "labels", "indices", "loss_weights")  # what a model may be fed


def make_examples(inputs, rows=None, feed_dict=None, **given):
    """The examples of one call, on the device.

    Parameters
    ----------
    inputs : Inputs
        Inputs of the model.
    rows : array_like of int or bool, optional
        Positions of the examples, or a mask; all by default.
    feed_dict, **given
        As for `read_feed`. Without labels, those of the examples are None.

    Raises
    ------
    ValueError
        If something is missing, or does not fit the network or the other arguments.
    """
    feed = read_feed(inputs, feed_dict, **given)
    images, labels, ids = (feed[name] for name in FEED[:3])
    images = typed(images)
    labels = labels if labels is None or hasattr(labels, "shape") else even("labels", labels)
    shape = image_shape(images)
    if shape != inputs.shape:
        first = (*shape[1:], shape[0]) == inputs.shape
        raise ValueError(
            f"The network takes images of shape {inputs.shape}. Received: {shape}"
            + (": give np.moveaxis(images, 1, -1)" if first else "")
        )
    rows = row_numbers(rows, len(images))
    ids = None if ids is None else example_ids(ids, rows, len(images))
    (images, pixels), labels = _placed(images, labels, inputs.classes, rows)
    if pixels is not None:
        check_scale(pixels, inputs.entrance)
    return Examples(images, labels, rows, ids, _weights(feed["loss_weights"], len(rows)), pixels)


def read_feed(inputs, feed_dict=None, **given):
    """Images, labels, indices and loss_weights of a call, from a dict or from arguments.

    Parameters
    ----------
    inputs : Inputs
        Inputs of the model.
    feed_dict : dict, optional
        By the names in the config's `inputs`, `indices` and `loss_weights`.
    **given
        images, labels, indices and loss_weights, in place of the dict.

    Returns
    -------
    dict
        With these four keys; the value is None for what was not given.

    Raises
    ------
    ValueError
        If there are no images, something is given twice, or a name is not known.
    """
    if feed_dict is None:
        feed_dict = {name: value for name, value in given.items() if value is not None}
    elif any(value is not None for value in given.values()):
        named = [name for name, value in given.items() if value is not None]
        raise ValueError(
            "Give a feed_dict, or images and labels, not both. "
            f"Received: a feed_dict and {', '.join(named)}"
        )
    instance("feed_dict", feed_dict, Mapping, "a dict")
    expected = (
        f"Expected: {inputs.images[0]}, {inputs.labels[0]}, and indices and loss_weights if there "
        "are any."
    )
    known = {
        **dict.fromkeys(inputs.images, "images"),
        **dict.fromkeys(inputs.labels, "labels"),
        **{name: name for name in FEED[2:]},
    }
    unknown = [str(name) for name in feed_dict if name not in known]
    if unknown:
        raise ValueError(
            f"Unknown names in the feed: {', '.join(unknown)}. {expected.rstrip('.')}"
            f"{did_you_mean(unknown, known)}"
        )
    feed = {}
    for name, value in feed_dict.items():
        if feed.setdefault(known[name], value) is not value:
            raise ValueError(f"The feed gives {known[name]} twice: {', '.join(feed_dict)}")
    if feed.get("images") is None:
        named = [name for name, value in feed_dict.items() if value is not None]
        raise ValueError(
            f"The feed lacks {inputs.images[0]}. {expected} "
            f"Received: {', '.join(named) or 'nothing, and no feed_dict'}"
        )
    return {name: feed.get(name) for name in FEED}


def _weights(weights, count):
    if weights is None:
        return None
    weights = numeric("loss_weights", weights).astype(np.float32)
    if weights.shape != (count,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            f"loss_weights must be a finite number of 0 or more for each of the {count} rows. "
            f"Received: shape {weights.shape}"
            + (f", from {weights.min()} to {weights.max()}" if weights.size else "")
        )
    return weights


EXACT = 2**24  # up to here float32 holds every whole number, as an embedding needs it


def place(images, labels, classes, rows=None):
    """Images and labels as tensors; for the same arrays, the same tensors as before.

    Parameters
    ----------
    images : array_like, shape (N, H, W), (N, H, W, C) or (N, L)
        `uint8`, or any other finite numbers.
    labels : array_like, shape (N,) or (N, classes), or None
        Class numbers, or one-hot rows.
    classes : int
        Number of classes.
    rows : ndarray of int, shape (n,), optional
        Positions of the examples that are needed; all by default. If one of them was changed in
        place, its array is placed anew.

    Returns
    -------
    images : tensor, shape (N, H, W, C) or (N, L), uint8 or float32
    labels : tensor, shape (N,), int64, or None

    Raises
    ------
    ValueError
        If one of them is empty, of a wrong shape or type, or holds NaN, infinity or a class out of
        range; or if there are not as many labels as images.
    """
    (images, _), labels = _placed(images, labels, classes, rows)
    return images, labels


def _placed(images, labels, classes, rows):
    """The same, and the images' `Pixels` beside them."""
    if labels is None:
        return place_once(images, _image_tensor, rows), None
    if np.shape(images)[:1] != np.shape(labels)[:1]:
        raise ValueError(
            "images and labels must have the same length. "
            f"Received: shapes {np.shape(images)} and {np.shape(labels)}"
        )

    def numbers(values):
        return tf.constant(class_numbers(values, classes))

    return place_once(images, _image_tensor, rows), place_once(labels, numbers, rows, classes)


def image_shape(images):
    """(H, W, C) of images of shape `(N, H, W)` or `(N, H, W, C)`; (L,) of rows `(N, L)`."""
    shape = np.shape(images)
    if len(shape) not in (2, 3, 4) or 0 in shape:
        raise ValueError(
            "images must be (N, H, W) or (N, H, W, C), or rows (N, L) of words or features, not "
            f"empty. Received: {shape}"
        )
    return (*shape[1:], 1) if len(shape) == 3 else shape[1:]


def typed(images):
    """Images as one array: lists, and the arrays of PIL images of BatchFlow's own datasets.

    Whole numbers from 0 to 255 in lists, which have no type, become `uint8`. Another array stays
    itself, so that it moves to the device only once.
    """
    pictures = getattr(getattr(images, "dtype", None), "kind", None) == "O"
    if hasattr(images, "shape") and not pictures:
        return images
    if isinstance(images, (list, tuple)) or pictures:
        _check_pictures(images)
    images = even("images", list(images) if pictures else images)
    whole = images.dtype.kind == "i" and images.ndim > 2 and images.size
    return images.astype(np.uint8) if whole and 0 <= images.min() <= images.max() <= 255 else images


def _check_pictures(images):
    """Refuse PIL images of several sizes, or with palettes."""
    pictures = [image for image in images if hasattr(image, "getpalette")]
    if any(picture.mode == "P" for picture in pictures):
        raise ValueError("images must not have palettes: convert them, as by .convert('RGB').")
    sizes = list(dict.fromkeys(picture.size for picture in pictures))
    if len(sizes) > 1:
        raise ValueError(
            "images must have one size: bring them to it first, as by .resize((28, 28)). "
            f"Received: {', '.join(f'{width}×{height}' for width, height in sizes[:3])}"
        )


def _image_tensor(images):
    """Images on the device, and their `Pixels`; None for rows (N, L), which have no scale."""
    if images.dtype.kind not in "biuf":
        raise ValueError(f"images must be numbers. Received: {images.dtype}")
    if images.dtype.kind == "f" and not all_of(images, np.isfinite):
        raise ValueError("images must be finite. Received: NaN or infinite pixels")
    wide = images.dtype.kind in "iu" and images.dtype.itemsize > 2
    if wide and not all_of(images, lambda values: np.abs(values) <= EXACT):
        raise ValueError(f"whole numbers must be at most {EXACT}, which float32 holds exactly.")
    shape = image_shape(images)  # or it raises
    pixels = Pixels.of(images) if images.ndim > 2 else None
    kind = np.uint8 if pixels and images.dtype == np.uint8 else np.float32
    return as_tensor(images.reshape(len(images), *shape), kind), pixels
