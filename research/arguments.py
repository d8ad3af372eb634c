"""What the value of an option may be: from its text to the value, or one line that says why not."""

import argparse
import math

from research.optimizers import OptimizerError, read


def count(text):
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def probability(text):
    """A number from 0 to 1."""
    return _number(text, lambda value: 0 <= value <= 1, "from 0 to 1")


def share(text):
    """A number above 0, at most 1."""
    return _number(text, lambda value: 0 < value <= 1, "above 0, at most 1")


def positive(text):
    """A finite number above 0."""
    return _number(text, lambda value: 0 < value < math.inf, "above 0")


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
