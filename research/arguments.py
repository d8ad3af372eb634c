"""What the value of an option may be: from its text to the value, or one line that says why not."""

import argparse
import math
import os
import pathlib
import re

from research.names import BASES, BASES_IN_WORDS, CACHES
from research.optimizers import OptimizerError, read
from research.parser import not_one_of

LARGEST_SEED = 2**63 - 1


def count(text):
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def seed(text):
    """A whole number of 0 or more that TensorFlow's random operations take as a seed."""
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2^63 - 1, not {text!r}")
    return int(text)


def seeds(text):
    """How many seeds, from 0 on; or which, as a range."""
    if text.isdecimal():
        return count(text)
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise argparse.ArgumentTypeError(
            f"must be a whole number above 0, or as 5-9, which are five, not {text!r}"
        )
    return range(seed(first), seed(last) + 1)


def folder(text):
    """The path of a folder, with the home folder in place of '~'."""
    path = pathlib.Path(os.path.expanduser(text))
    if not text.strip() or str(path).startswith("~"):
        raise argparse.ArgumentTypeError(f"must be a folder, not {text!r}")
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise argparse.ArgumentTypeError(
                f"must be a folder, and {str(part)!r} is a symbolic link that leads nowhere"
            )
    return path


def new_folder(text):
    """The path of a folder that is to be made, or to be replaced."""
    path = folder(text)
    if path.name in ("", "..") or path.is_symlink():
        kind = "a symbolic link" if path.is_symlink() else "no name"
        raise argparse.ArgumentTypeError(
            f"must be the name of a folder to be made, and {text!r} is {kind}"
        )
    return path


def file(text):
    """The path of a file, with the home folder in place of '~'."""
    path = pathlib.Path(os.path.expanduser(text))
    if path.name in ("", "..") or "\0" in text:
        raise argparse.ArgumentTypeError(f"must be a file, not {text!r}")
    return path


def keras_file(text):
    """The path of a file that Keras is to write."""
    path = file(text)
    folder(str(path.parent))
    if path.suffix != ".keras" or path.is_symlink():
        kind = "a symbolic link" if path.is_symlink() else "none"
        raise argparse.ArgumentTypeError(
            f"must be the name of a file that ends in .keras, and {text!r} is {kind}"
        )
    return path


def image_shape(text):
    """Height, width, and channels if they are given, as a tuple."""
    sizes = re.split("[x×,]", text.replace(" ", ""))
    if len(sizes) not in (2, 3):
        raise argparse.ArgumentTypeError(f"must be as 32x32 or 32x32x3, not {text!r}")
    return tuple(map(count, sizes))


def depths(text):
    """Whole numbers of 0 or more, separated by commas, each above the one before it, as a tuple."""
    numbers = tuple(int(part) if part.isdecimal() else -1 for part in text.split(","))
    if min(numbers) < 0 or sorted(set(numbers)) != list(numbers):
        raise argparse.ArgumentTypeError(
            f"must be a whole number of 0 or more, or several that rise, not {text!r}"
        )
    return numbers


def pattern(text):
    """A regular expression, as text."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"must be a regular expression, not {text!r} ({error})"
        ) from None
    return text


def base(text):
    """The name of a pre-trained network, or the path of a file."""
    path = os.path.expanduser(text)
    if text not in BASES and not os.path.isfile(path):
        expected = f"{BASES_IN_WORDS}, or a file with a network"
        raise argparse.ArgumentTypeError(not_one_of(text, expected, BASES))
    return text


def probability(text):
    """A number from 0 to 1."""
    return _number(text, lambda value: 0 <= value <= 1, "from 0 to 1")


def share(text):
    """A number above 0, at most 1."""
    return _number(text, lambda value: 0 < value <= 1, "above 0, at most 1")


def positive(text):
    """A finite number above 0."""
    return _number(text, lambda value: 0 < value < math.inf, "above 0")


def points(text):
    """Percentage points that are to be resolved: from 0.001, below 100."""
    return _number(text, lambda value: 0.001 <= value < 100, "from 0.001, below 100")


def percent(text):
    """A number above 0, at most 100."""
    return _number(text, lambda value: 0 < value <= 100, "above 0, at most 100")


def cache(text):
    """A place for what frozen blocks compute, or a whole number of bytes."""
    if text.isdecimal():
        return int(text)
    if text not in CACHES:
        expected = f"{', '.join(CACHES)}, or bytes of memory"
        raise argparse.ArgumentTypeError(not_one_of(text, expected, CACHES))
    return text


def not_negative(text):
    """A finite number of 0 or more."""
    return _number(text, lambda value: 0 <= value < math.inf, "of 0 or more")


def rising_shares(text):
    """Shares below 1, separated by commas, each above the one before it, as a tuple."""
    shares = tuple(
        _number(part, lambda value: 0 < value < 1, "above 0, below 1") for part in text.split(",")
    )
    if sorted(set(shares)) != list(shares):
        raise argparse.ArgumentTypeError(f"must rise, not {text!r}")
    return shares


def optimizer(text):
    """The text, if it names an optimizer with arguments, as `research.optimizers.read` takes it."""
    try:
        read(text)
    except OptimizerError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _number(text, fits, expected):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not fits(value):
        raise argparse.ArgumentTypeError(f"must be a number {expected}, not {text!r}")
    return value
