"""Checks of values that users give: each returns the value, or raises an error that names it."""

import numbers

import numpy as np


def positive_whole(name, value):
    """The value as an int, if it is a whole number above 0; otherwise a ValueError."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    whole = real and float(value).is_integer()
    if not whole or value < 1:
        raise ValueError(f"{name} must be a whole number above 0. Received: {value!r}")
    return int(value)


def not_negative(name, value):
    """The value as a float, if it is a finite number of 0 or more; otherwise a ValueError."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    try:
        return positive(name, value)
    except ValueError:
        message = f"{name} must be a finite number, 0 or more. Received: {value!r}"
        raise ValueError(message) from None


def positive(name, value):
    """The value as a float, if it is a finite number above 0; otherwise a ValueError."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be a finite number above 0. Received: {value!r}")
    return float(value)


def share(name, value, zero=False):
    """The value as a float, if it is a number above 0 (or 0, if `zero`) and at most 1."""
    try:
        number = not_negative(name, value) if zero else positive(name, value)
    except ValueError:
        number = np.inf
    if number > 1:
        raise ValueError(
            f"{name} must be {'0 or more' if zero else 'above 0'} and at most 1. "
            f"Received: {value!r}"
        )
    return number


def one_of(name, value, allowed):
    """The value, if it is one of those allowed; otherwise a ValueError."""
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(str, allowed))}. Received: {value!r}")
    return value


def true_or_false(name, value):
    """Check that a value is a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False. Received: {value!r}")
    return bool(value)


def as_dict(config):
    """A new plain dict of a dict or a BatchFlow config; keys with slashes become nested dicts."""
    from batchflow import Config  # slow to import, and only models have configs

    if config is None:
        return {}
    if not isinstance(config, (dict, Config)):
        raise TypeError(f"config must be a dict. Received: {type(config).__name__}")
    return dict(Config(config).config)


def check_keys(config, allowed, where):
    """Refuse keys that are not allowed.

    Raises
    ------
    ValueError
        If there are some; it names them and lists the known ones.
    """
    unknown = sorted(set(config) - set(allowed), key=str)
    if unknown:
        raise ValueError(
            f"Unknown key{'s' * (len(unknown) > 1)} in the config of {where}: "
            f"{', '.join(map(str, unknown))}. Known keys: {', '.join(sorted(allowed))}"
        )


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
    config = {key: _plain(value, f"config/{key}") for key, value in as_dict(config).items()}
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


def _plain(value, where):
    """A value of a config, with all dicts in it as plain dicts."""
    from batchflow import Config
    from batchflow.named_expr import NamedExpression

    if isinstance(value, NamedExpression):
        raise ValueError(
            f"{where} is a named expression, {value!r}, which BatchFlow evaluates for dynamic "
            "models only, when their first batch is there: use init_model(name, class, 'dynamic')."
        )
    if isinstance(value, (dict, Config)):
        return {key: _plain(inner, f"{where}/{key}") for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(inner, where) for inner in value)
    return value
