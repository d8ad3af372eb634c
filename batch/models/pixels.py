"""Whether images are on the scale that a network takes."""

import numpy as np

from batch.data.scales import FEW, OVERSHOOT, refuse_binary
from batch.networks.entrance import FAINT

NORMALIZED = 4  # what is larger is no normalized pixel


def check_scale(pixels, entrance):
    """Refuse images that almost surely are on another scale than a network takes.

    Parameters
    ----------
    pixels : Pixels
        Of the images.
    entrance : Entrance
        Of the network.

    Raises
    ------
    ValueError
        If `uint8` holds only 0 and 1, if images are scaled down twice, or if they are pixels from 0
        to 255 that nothing scales. A few images may be dark.
    """
    if pixels.count >= FEW:
        refuse_binary(pixels)
    if entrance.is_of_255 and _are_small(pixels, entrance.gain):
        raise ValueError(_twice(pixels, " and ".join(entrance.by)))
    unscaled = pixels.white == 255 and pixels.high * entrance.gain > OVERSHOOT
    if unscaled and not entrance.any_scale:
        raise ValueError(_unscaled(pixels))


def check_same_scale(pixels, white):
    """Refuse images on another scale than those that a network was trained on.

    Parameters
    ----------
    pixels : Pixels or None
    white : {1, 255, None}
        Of the images that it was trained on, as far as it is known.

    Raises
    ------
    ValueError
        If both are known, and differ.
    """
    if pixels is None or None in (white, pixels.white) or white == pixels.white:
        return
    line = "images / np.float32(255)"
    if white == 255:
        uint8 = pixels.dtype == np.uint8
        line = "images.astype('float32')" if uint8 else "images * np.float32(255)"
    raise ValueError(
        f"images must have the scale of those that the network was trained on, 0 to {white}: give "
        f"{line}. Received: {pixels}"
        + (", which is divided by 255" if pixels.dtype == np.uint8 else "")
    )


def _are_small(pixels, gain):
    """Whether they surely are no pixels from 0 to 255, and become all but black by this gain."""
    if pixels.are_divided:
        return True
    may_be_dark = pixels.count < FEW or pixels.low == pixels.high
    faint = (pixels.high - pixels.low) * gain < FAINT
    return faint and not may_be_dark and max(-pixels.low, pixels.high) <= NORMALIZED


def _twice(pixels, names):
    if pixels.dtype == np.uint8:
        given, line = "uint8 images are divided by 255", "images.astype('float32')"
    elif pixels.low >= 0 and pixels.high <= 1:
        given, line = "these images are from 0 to 1", "images * np.float32(255)"
    else:
        given, line = "these images are normalized", "them as they were before"
    return (
        f"images must be scaled once: {given}, and {names} scales pixels from 0 to 255. Give "
        f"{line}, or leave out {names}. Received: {pixels}"
    )


def _unscaled(pixels):
    line = "images / np.float32(255)"
    if pixels.dtype.kind in "iu":
        line = "images.astype('uint8')" if pixels.high <= 255 else "images / np.float32(65535)"
    return (
        "images must be scaled: only uint8 is divided by 255, and nothing scales these before the "
        f"network's first weights. Give {line}, or begin the network with a "
        f"keras.layers.Rescaling. Received: {pixels}"
    )
