"""The scale and the layout of images: what they almost surely are, and what to give instead.

A step divides `uint8` by 255 and takes anything else as it is.
"""

import dataclasses

import numpy as np

from batch.data.mapped import room, slices

PALE = 32  # the least that is white in a dataset of pixels from 0 to 255
BRIGHT = 128  # the least that is white in any images of them
OVERSHOOT = 16  # by how much resizing takes pixels out of 0 … 255
FEW = 8  # images that may all be dark
TOLERANCE = 1e-3  # of pixels times 255 to whole numbers


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Type, number and range of images, and what follows from them.

    Attributes
    ----------
    dtype : np.dtype
    count : int
        Number of images.
    low, high : float
    """

    dtype: np.dtype
    count: int
    low: float
    high: float

    @classmethod
    def of(cls, images):
        """Of an array of images that is not empty."""
        low, high = np.inf, -np.inf
        for rows in slices(images):
            low = np.minimum(low, float(images[rows].min()))
            high = np.maximum(high, float(images[rows].max()))
            if images.dtype == np.uint8 and (low, high) == (0, 255):
                break
        return cls(images.dtype, len(images), float(low), float(high))

    def __str__(self):
        return f"{self.dtype} from {self.low:g} to {self.high:g}"

    @property
    def are_divided(self):
        """Whether they are 0 to 1 when a network gets them, whatever they hold."""
        return self.dtype in (np.uint8, np.bool_)

    @property
    def white(self):
        """What white is when a network gets it, 1 or 255; None where that is not known."""
        if self.are_divided:
            return 1
        top = 2**16 if self.dtype.kind in "iu" else 255 + OVERSHOOT
        if self.low >= -OVERSHOOT and BRIGHT <= self.high <= top:
            return 255
        return 1 if self.count >= FEW and 0 <= self.low < 0.5 < self.high <= 1 else None


def white_of(images):
    """What white is in all images of a split: 1 or 255, or None where all is black.

    Raises
    ------
    ValueError
        If it is not known, or the images are `uint8` of only 0 and 1.
    """
    pixels = Pixels.of(images)
    refuse_binary(pixels)
    if pixels.low >= 0 and pixels.high <= 1:
        return 1 if pixels.high > 0 else None
    if images.dtype == np.uint8 or (pixels.low >= 0 and PALE <= pixels.high <= 255):
        return 255
    raise _not_whole(images, None)


def to_uint8(images, white):
    """Images of whole numbers from 0 to 255, or of these divided by 255, as `uint8`.

    Parameters
    ----------
    images : ndarray
    white : {1, 255, None}
        As from `white_of`.

    Raises
    ------
    ValueError
        If they are not whole numbers.
    """
    if images.dtype == np.uint8:
        return images
    made = room(images.shape, np.uint8, images)
    for rows in slices(images):
        pixels = images[rows] * np.float32(255) if white == 1 else images[rows]
        whole = np.round(pixels)
        if np.abs(pixels - whole).max() > TOLERANCE:
            raise _not_whole(images, white)
        made[rows] = whole
    return made


def _not_whole(images, white):
    whole = {1: "(images * 255)", 255: "images"}.get(white, "(images * (255 / WHITE))")
    return ValueError(
        "pixels must be whole numbers from 0 to 255, or these divided by 255: give "
        f"{whole}.round().astype('uint8')"
        + ("" if white else ", where WHITE is the value of a white pixel")
        + f". Received: {Pixels.of(images)}"
    )


def refuse_binary(pixels):
    """Refuse `uint8` images whose largest pixel is 1: divided by 255, they are all but black."""
    if pixels.dtype == np.uint8 and pixels.high == 1:
        raise ValueError(
            "uint8 images are divided by 255, and these hold only 0 and 1: give "
            f"images * np.uint8(255), or images.astype('float32'). Received: {pixels}"
        )


def refuse_channels_first(shape):
    """Refuse a shape (H, W, C) that almost surely is (C, H, W): 1 to 4 rows, square channels."""
    if len(shape) != 3 or shape[0] > 4:
        return
    channels, height, width = shape
    if min(height, width) >= 8 and max(height, width) <= 4 * min(height, width):
        raise ValueError(
            f"images must be (N, H, W, C), and these seem to be (N, C, H, W), {channels} channels "
            f"of {height}×{width} pixels: give np.moveaxis(images, 1, -1). "
            f"Received: (N, {channels}, {height}, {width})"
        )
