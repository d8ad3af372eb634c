"""Checks of values that users give: each returns the value, or raises an error that names it.

Numbers may be Python's own, NumPy's, or arrays without dimensions; they are returned as Python's.
NumPy is imported only where arrays are checked, since the command line checks its options too.
"""

import array
import contextlib
import inspect
import math
import numbers
import os

from batch.nested import MOST_OF_CONFIG, countable
from batch.shown import name_of, received, short
from batch.spelling import did_you_mean

LARGEST = 2**53  # up to here float64 holds every whole number
MOST_LAYERS = 10_000  # of a network
MOST_CHANNELS = 2**20
SMALLEST, GREATEST = 2.0**-149, (2 - 2**-23) * 2.0**127  # above 0 in float32, as rates end up


def whole(name, value, least=0, most=LARGEST):
    """The value as an int, if it is a whole number in this range; otherwise a ValueError."""
    number = as_number(value)
    if not math.isfinite(number) or number != int(number) or not least <= number <= most:
        expected = {0: ", 0 or more", 1: " above 0"}.get(least, f" of at least {least:,}")
        limit = f", at most {most:,}" if number > most else ""
        raise ValueError(f"{name} must be a whole number{expected}{limit}. {received(value)}")
    return int(number)


def stepped(name, value, first, step, expected, most):
    """The value as an int, if it is first, first + step, first + 2·step … up to `most`."""
    number = as_number(value)
    if not first <= number <= most or (number - first) % step:
        limit = f", at most {most:,}" if number > most else ""
        raise ValueError(f"{name} must be {expected}{limit}. {received(value)}")
    return int(number)


def positive_whole(name, value, most=LARGEST):
    """The value as an int, if it is a whole number above 0; otherwise a ValueError."""
    return whole(name, value, 1, most)


def not_negative(name, value):
    """The value as a float, if it is a finite number of 0 or more; otherwise a ValueError."""
    return _finite(name, value, ", 0 or more", zero=True)


def positive(name, value):
    """The value as a float, if it is a finite number above 0; otherwise a ValueError."""
    return _finite(name, value, " above 0")


def share(name, value, zero=False):
    """The value as a float, if it is a number above 0 (or 0, if `zero`) and at most 1."""
    number = as_number(value)
    if not (zero and number == 0) and not SMALLEST <= number <= 1:
        raise ValueError(
            f"{name} must be {'0 or more' if zero else 'above 0'} and at most 1. {received(value)}"
        )
    return float(number)


def probability(name, value):
    """The value as a float, if it is a number from 0 to 1; otherwise a ValueError."""
    number = as_number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1. {received(value)}")
    return float(number)


def true_or_false(name, value):
    """The value as a bool, if it is True or False; otherwise a ValueError."""
    plain = _plain_scalar(value)
    if not isinstance(plain, bool):
        raise ValueError(f"{name} must be True or False. {received(value)}")
    return plain


def optional(check, name, value, *limits):
    """None, if the value is None; otherwise what the check returns."""
    return None if value is None else check(name, value, *limits)


def text(name, value):
    """The value, if it is a text that is not empty; otherwise a TypeError or a ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text, not empty. {received(value)}")
    return value


def path(name, value):
    """The value as a text, if it is a path; otherwise a TypeError."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise TypeError(f"{name} must be a path. {received(value)}")
    return os.fspath(value)


def one_of(name, value, allowed):
    """The value, if it is one of those allowed, texts or None; otherwise a ValueError."""
    if not isinstance(value, (str, type(None))) or value not in allowed:
        *most, last = map(str, allowed)
        expected = f"{', '.join(most)} or {last}" if most else last
        hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
        raise ValueError(f"{name} must be {expected}. {received(value)}{hint}")
    return value


def instance(name, value, kind, expected):
    """The value, if it is of a kind; otherwise a TypeError that says what was expected."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {expected}. {received(value)}")
    return value


def function(name, value, expected):
    """The value, if it can be called and is no class; otherwise a TypeError."""
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"{name} must be {expected}, callable. {received(value)}")
    return value


def sequence(name, values, expected):
    """The values as a list, if they are a list, a tuple, a range or an array; else a TypeError."""
    if not isinstance(values, (list, tuple, range)) and not getattr(values, "ndim", 0):
        raise TypeError(f"{name} must be a list of {expected}. {received(values)}")
    return list(values)


def sequence_of(name, values, kind, expected):
    """The values as a list, if they are a sequence of one kind, not empty; or a TypeError."""
    listed = sequence(name, values, expected)
    if not listed or not all(isinstance(value, kind) for value in listed):
        raise TypeError(f"{name} must be a list of {expected}, not empty. {received(values)}")
    return listed


def finite(name, values, dimensions=(1,)):
    """The values as a float64 array of so many dimensions, if they are finite numbers.

    Raises
    ------
    ValueError
        If they are not, or if there are none.
    """
    import numpy as np

    checked = numeric(name, values)
    fits = checked.ndim in dimensions and checked.size > 0 and checked.dtype.kind != "b"
    if not fits or not np.isfinite(checked).all():
        shape = " or ".join(map(str, dimensions))
        raise ValueError(
            f"{name} must be finite numbers, not empty, in {shape} "
            f"dimension{'s' * (dimensions != (1,))}. {received(values)}"
        )
    return checked.astype(np.float64)


def numeric(name, values):
    """The values as an array, if they are numbers; a ValueError if not, or if they are uneven."""
    checked = even(name, values)
    if checked.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of numbers. {received(values)}")
    return checked


def even(name, values):
    """The values as an array of any type; a ValueError if they are uneven, or no sequence."""
    import numpy as np

    countable(name, values)
    # Of rows of several lengths, or of a list in itself, NumPy makes no array.
    with contextlib.suppress(ValueError, TypeError, RecursionError, OverflowError):
        if isinstance(values, (list, tuple, range, array.array)) or hasattr(values, "__array__"):
            return np.asarray(values)
    raise ValueError(f"{name} must be an array. {received(values)}")


def _some(names):
    """The first of some names, and how many more there are."""
    more = [f"and {len(names) - 10:,} more"] if len(names) > 10 else []
    return ", ".join([*map(name_of, names[:10]), *more])


def as_number(value):
    """The value as Python's int or float; NaN if it is no number, infinity if it is too large."""
    value = _plain_scalar(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return value


def _plain_scalar(value):
    """A NumPy scalar, or an array without dimensions, as Python's own; other values as they are."""
    scalar = getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    return value.item() if scalar else value


def _finite(name, value, expected, zero=False):
    number = as_number(value)
    if not (zero and number == 0) and not SMALLEST <= number <= GREATEST:
        limit = ", that float32 can hold" if 0 < number < math.inf else ""
        raise ValueError(f"{name} must be a finite number{expected}{limit}. {received(value)}")
    return float(number)


def as_dict(config, name="config"):
    """A new plain dict of a dict or a BatchFlow config; keys with slashes become nested dicts."""
    from batchflow import Config  # slow to import, and only models have configs

    if config is None:
        return {}
    if not isinstance(config, (dict, Config)):
        raise TypeError(f"{name} must be a dict. Received: {type(config).__name__}")
    for key, value in config.items():
        countable(f"{name}/{name_of(key)}", value, MOST_OF_CONFIG)
    return dict(Config(config).config)


def check_keys(config, allowed, where):
    """Refuse keys that are not allowed.

    Raises
    ------
    ValueError
        If there are some; it names them and lists the known ones.
    """
    unknown = sorted(set(config) - set(allowed), key=name_of)
    if unknown:
        raise ValueError(
            f"Unknown key{'s' * (len(unknown) > 1)} in the config of {where}: "
            f"{_some(unknown)}. Known keys: {', '.join(sorted(allowed))}"
            f"{did_you_mean(unknown, allowed)}"
        )


def check_arguments(function, arguments, where, without=()):
    """Refuse arguments that a function or class does not take by name, or that are not to be given.

    Raises
    ------
    ValueError
        If there are some; it names them and lists the known ones.
    """
    check_keys(arguments, argument_names(function) - set(without), where)


def argument_names(function):
    """Names of the arguments that a function or class takes by name, as a set."""
    return {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def read_config(config, allowed, where):
    """A checked copy of a model's config, as nested dicts.

    Parameters
    ----------
    config : dict or batchflow.Config, or None
    allowed : dict
        The keys that it may have. Each has as its value the keys that a dict under it may have, or
        `{'*': keys}` for a dict of such dicts, or None where any value may stand.
    where : str
        Whose config it is, for messages.

    Raises
    ------
    ValueError
        If a key is not known, or a value is a named expression (`B`, `C`, `V`, `F` …) that was not
        evaluated.
    """
    config = {key: _whole_plain(value, f"config/{key}") for key, value in as_dict(config).items()}
    check_keys(config, allowed, where)
    for key, value in config.items():
        inner = allowed[key]
        if isinstance(inner, dict) and isinstance(value, dict):
            for name, entry in value.items():
                _check_inner(entry, inner["*"], f"{key}/{name}")
        elif inner is not None:
            _check_inner(value, inner, key)
    return config


def _check_inner(value, allowed, where):
    if isinstance(value, dict):  # values of other kinds are checked where they are read
        check_keys(value, allowed, where)


def _named(expression):
    """A named expression in a message, with its name alone: it may hold anything else."""
    return f"{type(expression).__name__}({short(vars(expression).get('name'))})"


def _whole_plain(value, where):
    try:
        return _plain(value, where)
    except RecursionError:
        raise ValueError(f"{where} contains itself. {received(value)}") from None


def _plain(value, where):
    """A value of a config, with all dicts in it as plain dicts."""
    from batchflow import Config
    from batchflow.named_expr import NamedExpression

    if isinstance(value, NamedExpression):
        raise ValueError(
            f"{where} is a named expression, {_named(value)}, which BatchFlow evaluates for "
            "dynamic models only, when their first batch is there: use init_model(name, class, "
            "'dynamic')."
        )
    if isinstance(value, (dict, Config)):
        return {key: _plain(inner, f"{where}/{key}") for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(inner, where) for inner in value)
    return value
