"""Images of another size, by bilinear interpolation."""

import numpy as np

from batch.checks import positive_whole
from batch.data.mapped import room

MOST_SIDE = 4096
TOGETHER = 256  # images that are resized at a time, to save memory
EXACT = 6  # decimals from which on sums in another order may differ


def resized(images, side):
    """Square images of another size.

    Enlarged, pixels are interpolated between the centres of the nearest ones; reduced, they are
    weighted means over all pixels that they cover (antialiasing).

    Parameters
    ----------
    images : ndarray, shape (N, H, W, C), uint8
    side : int
        Pixels.

    Returns
    -------
    ndarray, shape (N, side, side, C), uint8
    """
    side = positive_whole("image_size", side, MOST_SIDE)
    if images.shape[1:3] == (side, side):
        return images
    rows, columns = (_weights(old, side) for old in images.shape[1:3])
    made = room((len(images), side, side, images.shape[3]), np.uint8, images)
    for start in range(0, len(images), TOGETHER):
        some = np.moveaxis(images[start : start + TOGETHER], 3, 1)
        whole = np.rint(np.round(rows @ some @ columns.T, EXACT))  # the same on every machine
        made[start : start + TOGETHER] = np.moveaxis(whole, 1, 3)
    return made


def _weights(old, new):
    """What each of `old` pixels in a row counts in each of `new` ones, shape `(new, old)`."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    distances = np.abs(centres[:, None] - (np.arange(old) + 0.5)) / max(scale, 1)
    weights = np.maximum(1 - distances, 0)
    return weights / weights.sum(1, keepdims=True)
