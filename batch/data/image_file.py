"""One image from a file, by Pillow: what its header says, and its pixels at a size."""

import contextlib
import dataclasses
import errno
import pathlib
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = {  # Pillow's names of those that are read, and how their files' names end
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}
SUFFIXES = {suffix: kind for kind, suffixes in FORMATS.items() for suffix in suffixes}
GREY, COLOUR = ("1", "L", "LA", "La"), ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX")  # Pillow's modes
SIDEWAYS = (5, 6, 7, 8)  # values of EXIF's orientation that exchange width and height
ORIENTATION = 0x0112  # EXIF's tag
EXACT = 1e-6  # of a pixel


class ImageError(ValueError):
    """A file that can't be used as an image; the message says why, without its name."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What the header of an image says.

    Attributes
    ----------
    width, height : int
        In pixels, of the image as it is to be seen.
    colour : bool
        Whether it is in colour, or has a palette.
    kind : str
        Of its contents, as in `FORMATS`.
    frames : int
        Of which the first is read.
    """

    width: int
    height: int
    colour: bool
    kind: str
    frames: int


def look(path):
    """The `Header` of an image.

    Raises
    ------
    ImageError
        If it is no image of 8 bits a channel, grey or red, green and blue, or has more pixels than
        Pillow takes without a warning (`PIL.Image.MAX_IMAGE_PIXELS`).
    """
    with _opened(path) as image:
        if image.mode.startswith(("I", "F")) or ";16" in str(image.tile):
            raise ImageError("has more than 8 bits a channel")
        if image.mode not in GREY + COLOUR:
            raise ImageError(f"has {image.mode} colours: expected grey, RGB, or a palette")
        width, height = image.size
        if image.getexif().get(ORIENTATION) in SIDEWAYS:
            width, height = height, width
        frames = getattr(image, "n_frames", 1)
        return Header(width, height, image.mode in COLOUR, image.format, frames)


def decoded(path, size, *, colour):
    """The pixels of an image, brought to a size.

    It is turned as EXIF says, and loses its transparency. Of another size, it is resized until it
    covers the size, by bilinear interpolation with antialiasing, and cropped in the middle, as
    torchvision's `Resize` and `CenterCrop` do it.

    Parameters
    ----------
    path : path
    size : (int, int)
        Height and width.
    colour : bool

    Returns
    -------
    ndarray, shape (height, width, 3 or 1), uint8

    Raises
    ------
    ImageError
        If it can't be decoded.
    """
    with _opened(path) as image:
        image = ImageOps.exif_transpose(image)
        if "transparency" in image.info:
            image = image.convert("RGBA")
        image = _covering(image.convert("RGB" if colour else "L"), *size)
        return np.asarray(image).reshape(*size, -1)


def _covering(image, height, width):
    """An image resized and cropped to a size."""
    if image.size == (width, height):
        return image
    scale = max(width / image.width, height / image.height)
    wide = max(int(scale * image.width + EXACT), width)
    high = max(int(scale * image.height + EXACT), height)
    image = image.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = round((wide - width) / 2), round((high - height) / 2)
    return image.crop((left, top, left + width, top + height))


@contextlib.contextmanager
def _opened(path):
    """The image in a file, closed at the end; whatever fails with it becomes an `ImageError`."""
    try:
        if not pathlib.Path(path).stat().st_size:
            raise ImageError("is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=list(FORMATS)) as image:
                yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"is no {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"{Image.MAX_IMAGE_PIXELS / 1e6:.0f} million"
        raise ImageError(f"has more than {most} pixels") from None
    except OSError as error:
        raise ImageError(_reason(error)) from error
    except Exception as error:  # whatever Pillow fails with in a broken file
        raise ImageError(f"is broken: {error}") from error


def _reason(error):
    if error.errno == errno.ELOOP:
        return "is a symbolic link that leads in a circle"
    if error.errno == errno.ENOENT:
        return "is a symbolic link that leads nowhere"
    return f"can't be read: {error.strerror}" if error.strerror else f"is broken: {error}"
