"""Methods from a user's own file or module, and errors that name the line of it that is wrong."""

import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import os
import re
import sys
import traceback

from batch.spelling import did_you_mean
from research.methods import METHODS, Method, find
from research.methods.options import CACHE


class MethodError(ValueError):
    """Something is wrong in a method of the user's own; the message names its file and line."""


def load(names):
    """The methods that a command line names.

    Parameters
    ----------
    names : list of str
        Names of our methods, and attributes of files and modules, as 'mine.py:HALVING' or
        'package.module:HALVING'. Paths and modules are looked for from the current folder on.

    Returns
    -------
    list of Method

    Raises
    ------
    MethodError
        If a file, module or attribute is missing, or is not what it should be.
    ValueError
        If a name is not one of ours.
    """
    modules = {}
    loaded = []
    for name in names:
        place, colon, attribute = name.rpartition(":")
        if not colon and not _is_file(name):
            loaded.append(find(name))
            continue
        place = place or name
        if place not in modules:
            modules[place] = _run_file(place) if _is_file(place) else _import_module(place)
        loaded.append(_method_in(modules[place], place, attribute if colon else ""))
    known = {method.name for method in loaded}.union(METHODS)
    for module in modules.values():
        known |= {value.name for value in vars(module).values() if isinstance(value, Method)}
    for method in loaded:
        if method.baseline is not None and method.baseline not in known:
            raise MethodError(
                f"{_place(method)}: {method.name} has a baseline that is no method: "
                f"{method.baseline!r}; the methods are {', '.join(sorted(known))}"
                f"{did_you_mean(method.baseline, known)}"
            )
    return loaded


@contextlib.contextmanager
def errors_named(method, all_errors=False):
    """Raise what goes wrong in a method of the user's own as an error that names the line.

    Methods of ours, and those given from Python, are left to their tracebacks.

    Parameters
    ----------
    method : Method
    all_errors : bool
        The method is to blame for errors that are not raised in its file, too.

    Raises
    ------
    MethodError
        In place of an error that was raised in the method's file, or below a call in it.
    """
    try:
        yield
    except Exception as error:
        if method.source is None or isinstance(error, MethodError):
            raise
        file = _file_of(method)
        line = _line_in(file, error)
        if line is None and not all_errors:
            raise
        place = _place(method) if line is None else f"{file}:{line}"
        raise MethodError(f"{place}: {method.name}: {_described(error)}") from error


def digest(method):
    """SHA-256 of the file of a method of the user's own; None for other methods."""
    if method.source is None:
        return None
    with open(_file_of(method), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _is_file(place):
    return place.endswith(".py") or os.sep in place


def _run_file(path):
    """The module that a file is."""
    if not os.path.isfile(path):
        raise MethodError(f"there is no file {path}")
    _look_in(os.path.dirname(os.path.abspath(path)))
    name = "_method_in_" + re.sub(r"\W", "_", os.path.abspath(path))  # no other module has it
    spec = importlib.util.spec_from_file_location(name, os.path.abspath(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise MethodError(f"{_with_line(path, error)}: {_described(error)}") from error
    return module


def _import_module(name):
    _look_in(os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = getattr(error, "name", None)
        if isinstance(error, ImportError) and missing and f"{name}.".startswith(f"{missing}."):
            raise MethodError(f"there is no module {missing}") from error
        raise MethodError(f"{_with_line(name, error)}: {_described(error)}") from error


def _look_in(folder):
    """Let modules in a folder be imported, after all others: none of theirs takes our names."""
    if folder not in sys.path:
        sys.path.append(folder)


def _method_in(module, place, attribute):
    value = getattr(module, attribute, None)
    if not isinstance(value, Method):
        what = f"a {type(value).__name__}" if hasattr(module, attribute) else "not there"
        named = [name for name, other in vars(module).items() if isinstance(other, Method)]
        hint = did_you_mean(attribute, named)
        wrong = f"{place}:{attribute} must be a Method, and is {what}"
        if not attribute:
            wrong = f"{place} must be followed by a colon and the name of a Method"
        raise MethodError(f"{wrong}; the methods in {place} are {', '.join(named) or 'none'}{hint}")
    options = {**CACHE, **value.options}  # it may freeze blocks
    method = dataclasses.replace(value, source=f"{place}:{attribute}", options=options)
    if value.name in METHODS:
        raise MethodError(
            f"{_place(method)}: {value.name!r} is the name of one of our methods: choose another"
        )
    return method


def _file_of(method):
    """The file of a method, as the user named it, or from the current folder."""
    place = method.source.rpartition(":")[0]
    return place if _is_file(place) else os.path.relpath(sys.modules[place].__file__)


def _place(method):
    """File and line where the config of a method begins."""
    code = getattr(method.config, "__code__", None)
    file = _file_of(method)
    return f"{file}:{code.co_firstlineno}" if code else file


def _line_in(file, error):
    """The last line of a file that an error came through; None if it did not."""
    frames = traceback.extract_tb(error.__traceback__)
    whole = os.path.realpath(file)
    lines = [frame.lineno for frame in frames if os.path.realpath(frame.filename) == whole]
    return lines[-1] if lines else None


def _with_line(place, error):
    """The file or module and the line at which running it failed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.relpath(error.filename)}:{error.lineno}"
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    machinery = (__file__, importlib.__file__)
    theirs = [name for name in files if name not in machinery and not name.startswith("<frozen")]
    return f"{os.path.relpath(theirs[0])}:{_line_in(theirs[0], error)}" if theirs else place


def _described(error):
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
