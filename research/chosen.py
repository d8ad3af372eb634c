"""Methods as the command line names them: ours, and those in files and modules of a user's own."""

import argparse

from research.methods import METHODS, loading
from research.parser import not_one_of

OWN = "FILE.py:NAME or package.module:NAME for a Method of your own"


def methods(text):
    """Methods by their names, separated by commas."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        _check_method(name)
    loaded = _loaded(names)
    if len({method.name for method in loaded}) < len(names):
        raise argparse.ArgumentTypeError(f"must be different names of methods, not {text!r}")
    return loaded


def method(text):
    """A method by its name."""
    _check_method(text)
    return _loaded([text])[0]


def _check_method(name):
    """Refuse what can name no method: none of ours, and no attribute of a file or module."""
    if not (name in METHODS or ":" in name or name.endswith(".py")):
        expected = f"{', '.join(METHODS)}, or {OWN}"
        raise argparse.ArgumentTypeError(not_one_of(name, expected, METHODS))


def _loaded(names):
    try:
        return loading.load(names)
    except loading.MethodError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
