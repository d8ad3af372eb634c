"""A value in a message: short whatever it is, and without code of the user's own being run.

No NumPy: the command line needs it at once.
"""

import pathlib
import types

LONGEST = 150  # characters
_OPEN = {list: "[]", tuple: "()", dict: "{}", set: "{}", frozenset: ("frozenset({", "})")}
_LISTS = (list, tuple, dict, set, frozenset)
_TRUSTED = {"numpy", "ml_dtypes", "keras", "tensorflow", "jax", "jaxlib", "torch"}
_PLAIN = (
    *(type(None), bool, int, float, complex, range, type, pathlib.PurePath, types.ModuleType),
    *(types.FunctionType, types.BuiltinFunctionType, types.GeneratorType),
)


def short(value):
    """A value on one line, of `LONGEST` characters at most: as `repr` shows it, or its beginning.

    Containers are written item by item until the line is full, so it takes no longer for a tuple of
    2⁴⁰ leaves. A `__repr__` of the user's own, which may fail or never end, is not called.
    """
    line = _Line()
    try:
        line.write(value, set())
    except _Full:
        return f"{line.text[:LONGEST]} …"
    return line.text


def received(value):
    """The end of a message, on one short line: what was received."""
    if is_array(value):
        return f"Received: an array of shape {value.shape}, {value.dtype}"
    if isinstance(value, _LISTS) and len(value) > LONGEST:
        return f"Received: a {type(value).__name__} of {len(value):,}"
    return f"Received: {short(value)}"


def name_of(key):
    """A key in a message: a text as it is, unless it is too long; anything else as `short` has it.

    Line breaks in it are written as such.
    """
    if type(key) is str and len(key) <= LONGEST and key.isprintable():
        return key
    return short(key)


def first_line(error):
    """What an error says first, in a line that is not too long; the name of its class if nothing.

    Libraries show whole configs in the lines after it.
    """
    lines = str(error).strip().splitlines()
    return lines[0][: 2 * LONGEST] if lines else type(error).__name__


def is_array(value):
    """Whether a value is an array or a tensor of a library that is known, with dimensions."""
    kinds = type(value).__mro__
    known = any(kind.__module__.partition(".")[0] in {*_TRUSTED, "pandas"} for kind in kinds)
    dimensions = getattr(value, "ndim", 0) if known else 0
    return isinstance(dimensions, int) and dimensions > 0 and hasattr(value, "dtype")


class _Full(Exception):  # noqa: N818 no error
    """The line is full."""


class _Line:
    """A line that grows until it is full."""

    def __init__(self):
        self.text = ""

    def add(self, text):
        self.text += text
        if len(self.text) > LONGEST:
            raise _Full

    def write(self, value, within):
        """Write a value that is within these containers, by their ids."""
        kind = _container(value)
        if kind is None:
            self.add(_alone(value))
        elif id(value) in within:
            self.add("...".join(_OPEN[kind]))
        elif not kind.__len__(value):
            self.add(repr(kind()))
        else:
            self._write_items(kind, value, {*within, id(value)})

    def _write_items(self, kind, value, within):
        begin, end = _OPEN[kind]
        self.add(begin)
        items = kind.items(value) if kind is dict else kind.__iter__(value)
        for number, item in enumerate(items):
            self.add(", " * (number > 0))
            if kind is dict:
                self.write(item[0], within)
                self.add(": ")
                item = item[1]
            self.write(item, within)
        self.add("," * (kind is tuple and tuple.__len__(value) == 1) + end)


def _container(value):
    """The kind of container that shows a value; None if it is none, or shows itself otherwise."""
    kinds = (kind for kind in _OPEN if isinstance(value, kind))
    return next((kind for kind in kinds if type(value).__repr__ is kind.__repr__), None)


def _alone(value):
    """What is no container, on one line."""
    name = f"a {type(value).__name__[:LONGEST]}"
    try:
        for kind in (str, bytes, bytearray):
            if isinstance(value, kind):  # a long one is not copied
                return kind.__repr__(kind.__getitem__(value, slice(LONGEST + 1)))
        if is_array(value):
            return f"{name} of shape {value.shape}"
        return " ".join(repr(value).split()) if _is_plain(value) else name
    except Exception:  # a whole number of thousands of digits, or a class that pretends
        return f"{name} too large to be shown"


def _is_plain(value):
    """Whether its `repr` is of a class that is known, and shows no values of the user's."""
    shows = type(value).__repr__
    if shows is object.__repr__ or shows in [kind.__repr__ for kind in _PLAIN]:
        return True
    of = getattr(shows, "__objclass__", shows)  # the class, of what is written in C
    trusted = (getattr(of, "__module__", None) or "").partition(".")[0] in _TRUSTED
    return trusted and str(getattr(value, "dtype", "")) != "object"
