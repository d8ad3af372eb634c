"""What happens to images before the first block: augmentation, scaling, normalization."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from batch.checks import (
    as_number,
    finite,
    optional,
    positive_whole,
    received,
    true_or_false,
    whole,
)
from batch.data.mapped import slices
from batch.data.scales import Pixels, refuse_binary
from batch.training.views import with_views

MOST_PAD = 1024  # pixels
MOST_VIEWS = 1024


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """From images as they are stored to what a network takes, float32.

    Attributes
    ----------
    mean, std : tuple of float, or None
        Of each channel, after `uint8` was divided by 255: images become (image − mean)/std. None
        leaves them as they are.
    pad : int
        In training, an image gets a black margin of so many pixels and is cropped to its own size
        at a random position (He et al., 2016, section 4.2).
    flip : bool
        In training, every other image, at random, is mirrored left to right.
    seed : int
        Seed and iteration decide crops and flips.
    views : int, optional
        In training, each example has so many fixed crops, with their flips, and is seen in these in
        turn (`batch.training.views`); by default, in a new one in every iteration.
    ahead : bool
        Crops are drawn before a step and come with the examples, which may be a part of the batch
        that they are drawn for.
    """

    mean: tuple | None = None
    std: tuple | None = None
    pad: int = 0
    flip: bool = False
    seed: int = 0
    views: int | None = None
    ahead: bool = False

    @property
    def augments(self):
        """Whether training images vary."""
        return bool(self.pad or self.flip)

    @property
    def drawn_from(self):
        """The type of what decides the crops of a step: the iteration, or the crops of views."""
        return tf.TensorSpec((None, 3) if self._comes_with_crops else (), tf.int32)

    @property
    def _comes_with_crops(self):
        return bool(self.views) or (self.ahead and self.augments)

    def seen(self, examples, iteration):
        """The examples with the views that they are seen in, if they have views."""
        if self.views:
            return with_views(examples, iteration, self)
        if self._comes_with_crops:
            crops = tf.stack(self._draw(len(examples), iteration), axis=1)
            return dataclasses.replace(examples, crops=crops.numpy())
        return examples

    def training(self, images, drawn_from):
        """Images of a training step, shape (n, H, W, C), cropped and flipped.

        Parameters
        ----------
        images : tensor, shape (n, H, W, C)
        drawn_from : tensor
            The iteration; or the `crops` of the examples, shape (n, 3), if they have them.
        """
        if self.augments:
            if self._comes_with_crops:
                draw = tf.unstack(drawn_from, axis=1)
            else:
                draw = self._draw(tf.shape(images)[0], drawn_from)
            images = self._cropped(images, *draw)
        return self.inference(images)

    def inference(self, images):
        """`uint8` images divided by 255, anything else as it is; normalized."""
        scaled = tf.cast(images, tf.float32) / (255.0 if images.dtype == tf.uint8 else 1.0)
        if self.mean is None:
            return scaled
        return (scaled - tf.constant(self.mean)) / tf.constant(self.std)

    def _draw(self, count, iteration):
        """Where each image is cropped, top and left, and 1 where it is mirrored, shape (n,)."""
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(iteration, tf.int64)])
        top, left, mirrored = tf.unstack(tf.random.stateless_uniform((3, count), seed))
        positions = tf.cast(2 * self.pad + 1, tf.float32)
        top, left = (tf.cast(draw * positions, tf.int32) for draw in (top, left))
        return top, left, tf.cast(mirrored < 0.5, tf.int32)

    def _cropped(self, images, top, left, mirrored):
        count, height, width = (tf.shape(images)[axis] for axis in range(3))
        top, left, columns = top[:, None], left[:, None], tf.range(width)[None]
        if self.flip:
            columns = tf.where(mirrored[:, None] == 1, width - 1 - columns, columns)
        margin = [[0, 0], [self.pad, self.pad], [self.pad, self.pad], [0, 0]]
        padded = tf.pad(images, margin)
        rows = tf.gather(padded, top + tf.range(height)[None], axis=1, batch_dims=1)
        columns = tf.broadcast_to((left + columns)[:, None], (count, height, width))
        cropped = tf.gather(rows, columns, axis=2, batch_dims=2)
        return tf.ensure_shape(cropped, images.shape)


@dataclasses.dataclass(frozen=True)
class AsGiven(Preprocessing):
    """Images as Keras takes them: cast, not divided."""

    def inference(self, images):
        """The images, float32."""
        return tf.cast(images, tf.float32)


def make_preprocessing(config, shape):
    """Preprocessing from the entries of a model's config.

    Parameters
    ----------
    config : dict
        Its `normalize` is `{'mean': […], 'std': […]}`, a number for each channel. Its `augment` is
        `{'pad': 4, 'flip': True}`, or True, which stands for that, and may have `views`. Its
        `seed` is read too.
    shape : tuple of int
        (H, W, C) of the images. Inputs of another shape can be neither normalized nor augmented.

    Raises
    ------
    ValueError
        If a value does not fit.
    """
    normalize, augment = config.get("normalize"), config.get("augment")
    if not isinstance(normalize, (dict, type(None))) and normalize is not False:
        raise ValueError(f"'normalize' must be a dict. {received(normalize)}")
    if not isinstance(augment, (dict, bool, type(None))):
        raise ValueError(f"'augment' must be True, False, or a dict. {received(augment)}")
    if len(shape) != 3 and (normalize or augment):
        raise ValueError(f"'normalize' and 'augment' are for images (H, W, C). Received: {shape}")
    channels, statistics = shape[-1], {}
    if isinstance(normalize, dict):
        if not normalize:
            raise ValueError("'normalize' must be a dict of mean and std. Received: {}")
        statistics = {key: _numbers(key, normalize.get(key), channels) for key in ("mean", "std")}
        if min(statistics["std"]) <= 0:
            raise ValueError(f"'std' must be above 0. Received: {statistics['std']}")
    options = {"pad": 4, "flip": True} if augment is True else dict(augment or {})
    pad = whole("'pad'", options.get("pad", 0), 0, MOST_PAD)
    flip, seed = true_or_false("'flip'", options.get("flip", False)), config.get("seed", 0)
    views = optional(positive_whole, "'views'", options.get("views"), MOST_VIEWS)
    if views and not (pad or flip):
        raise ValueError(f"'views' needs 'pad' or 'flip', which make them. {received(augment)}")
    return Preprocessing(**statistics, pad=pad, flip=flip, seed=seed, views=views)


def channel_statistics(images):
    """Mean and standard deviation of each channel, as `normalize` takes them.

    Parameters
    ----------
    images : ndarray, shape (N, H, W, C), uint8

    Returns
    -------
    dict
        `mean` and `std`, lists of a float for each channel, of pixels divided by 255.

    Raises
    ------
    ValueError
        If they are of another type, which is not divided, or hold only 0 and 1.
    """
    pixels = Pixels.of(images)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8, (N, H, W, C). Received: {pixels}")
    refuse_binary(pixels)
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for rows in slices(images):  # counting takes eight times the memory
        for channel, count in enumerate(counts):
            count += np.bincount(images[rows][..., channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(axis=1)
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / counts.sum(axis=1)
    std = np.sqrt(variance)
    return {"mean": mean.tolist(), "std": np.where(std > 0, std, 1.0).tolist()}


def _numbers(key, values, channels):
    listed = [values] if math.isfinite(as_number(values)) else values
    try:
        array = finite(key, listed).astype(np.float32)
    except ValueError:
        array = np.empty(0)
    if array.shape != (channels,):
        raise ValueError(f"{key!r} must have {channels} finite numbers. {received(values)}")
    return tuple(array.tolist())
