"""Checks of what users give: the value itself, or an error that names it."""

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
        raise ValueError(f"{name} must be {' or '.join(allowed)}. Received: {value!r}")
    return value


def as_dict(config):
    """A config of either kind, keys with slashes nested, as a plain dict of its own."""
    from batchflow import Config  # slow to import, and only models have configs

    if config is None:
        return {}
    if not isinstance(config, (dict, Config)):
        raise TypeError(f"config must be a dict. Received: {type(config).__name__}")
    return dict(Config(config).config)


def check_keys(config, allowed, where):
    """Refuse keys that nobody reads.

    Raises
    ------
    ValueError
        Names the unknown keys and lists the known ones.
    """
    unknown = sorted(set(config) - set(allowed), key=str)
    if unknown:
        raise ValueError(
            f"Unknown key{'s' * (len(unknown) > 1)} in the config of {where}: "
            f"{', '.join(map(str, unknown))}. Known keys: {', '.join(sorted(allowed))}"
        )


def read_config(config, allowed, where):
    """A config of a model as nested dicts of its own, checked.

    Parameters
    ----------
    config : dict or batchflow.Config, or None
    allowed : dict
        Its keys, and what the dict under each may have in turn: None where any value may stand, a
        collection of keys, or `{'*': keys}` for a dict of such dicts.
    where : str
        What it is the config of, for messages.

    Raises
    ------
    ValueError
        If a key is not known, or a value is a named expression (`B`, `C`, `V`, `F` …) that nobody
        has evaluated.
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
    if isinstance(value, dict):  # what else it may be is for its reader to say
        check_keys(value, allowed, where)


def _plain(value, where):
    """A value of a config with the dicts in it as plain ones."""
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
