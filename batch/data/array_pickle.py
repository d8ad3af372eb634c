"""Pickles of plain arrays of numbers, read without an unpickler, which calls what a pickle names.

Only the opcodes are read that Python and NumPy have written for such an array, in any protocol.
What a pickle names is never looked up: a name stands for what it means here, a value of `_NAMES`.
Only these are texts on the stack; the texts of a pickle are bytes there, as its bytes are.
"""

import codecs
import math
import pickletools
import re
import struct

import numpy as np

MOST_OPCODES = 400  # an array takes 70, and each of its dimensions, at most 64, one more
LONGEST = 64  # bytes of a number, a name or anything else but the values
_CHUNK = 2**20  # bytes of a text that are decoded at a time

_NAMES = {  # as NumPy 1 calls its modules
    "numpy.dtype": "dtype",
    "numpy.ndarray": "ndarray",
    "numpy.memmap": "ndarray",  # an array that was mapped from a file when it was pickled
    "numpy.core.memmap.memmap": "ndarray",
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy.core.numeric._frombuffer": "from buffer",  # protocol 5
    "_codecs.encode": "encode",  # bytes, in protocols 0 to 2
    **dict.fromkeys(("builtins.bytes", "__builtin__.bytes"), "no bytes"),
}
_LENGTHS = {  # of what stands before an argument, its length
    pickletools.TAKEN_FROM_ARGUMENT1: struct.Struct("<B"),
    pickletools.TAKEN_FROM_ARGUMENT4: struct.Struct("<i"),
    pickletools.TAKEN_FROM_ARGUMENT4U: struct.Struct("<I"),
    pickletools.TAKEN_FROM_ARGUMENT8U: struct.Struct("<Q"),
}
_MARK = object()
_EMPTY = object()  # an array before it is given its shape, type and values


class NoArrayError(ValueError):
    """A pickle of anything but a plain array of numbers; the message says what 'it' does."""

    def __init__(self, message="it is no pickle of an array as NumPy writes them"):
        super().__init__(message)


def read_array(pickle):
    """The array in a pickle, as `pickle.loads` gives it: its byte order, layout, and writability.

    Parameters
    ----------
    pickle : bytes

    Returns
    -------
    array : ndarray
        Of kind b, i, u or f.
    end : int
        Where the pickle ends; bytes may follow.

    Raises
    ------
    NoArrayError
        If it holds anything else.
    """
    stack, memo = [], {}
    try:
        for opcode, argument, end in _opcodes(pickle):  # noqa: B007
            made = stack and isinstance(stack[-1], np.ndarray)
            if made and opcode not in (*_PUTS, "STOP"):  # it is made only once, and comes last
                raise NoArrayError
            _apply(opcode, argument, stack, memo)
        (array,) = stack
    except NoArrayError:
        raise
    except Exception as error:  # a crafted pickle can fail in any way
        raise NoArrayError from error
    if not isinstance(array, np.ndarray):
        raise NoArrayError
    return array, end


def _opcodes(pickle):
    """The opcodes of a pickle, with their arguments as they stand there, and where they end."""
    view, at = memoryview(pickle), 0
    for _ in range(MOST_OPCODES):
        opcode = pickletools.code2op[chr(view[at])]
        start, end, at = _argument(opcode, pickle, at + 1)
        if at > len(view):
            raise NoArrayError("it ends within its pickle")
        yield opcode.name, view[start:end], at
        if opcode.name == "STOP":
            return
    raise NoArrayError


def _argument(opcode, pickle, at):
    """Where the argument of an opcode begins and ends, and where the next opcode stands."""
    size = opcode.arg.n if opcode.arg else 0
    if size == pickletools.UP_TO_NEWLINE:
        end = pickle.index(b"\n", at)
        end = pickle.index(b"\n", end + 1) if opcode.name == "GLOBAL" else end
        return at, end, end + 1
    if size in _LENGTHS:
        length = _LENGTHS[size]
        (size,) = length.unpack_from(pickle, at)
        at += length.size
    if size < 0:
        raise NoArrayError
    return at, at + size, at + size


def _apply(opcode, argument, stack, memo):
    """Do what an opcode means to the stack and to the memo."""
    if opcode in _VALUES:
        stack.append(_VALUES[opcode](argument))
    elif opcode in _PUTS:
        memo[_PUTS[opcode](argument) if argument else len(memo)] = stack[-1]
    elif opcode in _GETS:
        stack.append(memo[_GETS[opcode](argument)])
    elif opcode in ("TUPLE1", "TUPLE2", "TUPLE3"):
        size = int(opcode[-1])
        stack[-size:] = [tuple(stack[-size:])]
    elif opcode == "TUPLE":
        mark = len(stack) - 1 - stack[::-1].index(_MARK)
        stack[mark:] = [tuple(stack[mark + 1 :])]
    elif opcode == "STACK_GLOBAL":
        stack[-2:] = [_name(b"\n".join(map(_short, stack[-2:])))]
    elif opcode == "REDUCE":
        function, arguments = stack[-2:]
        stack[-2:] = [_CALLS[function](*arguments)]
    elif opcode == "BUILD":
        built, state = stack[-2:]
        stack[-2:] = [_filled(*state) if built is _EMPTY else _ordered(built, *state)]
    elif opcode not in ("PROTO", "FRAME", "STOP"):
        raise NoArrayError


def _short(value):
    if len(value) > LONGEST:
        raise NoArrayError
    return bytes(value)


def _unsigned(argument):
    return int.from_bytes(_short(argument), "little")


def _signed(argument):
    return int.from_bytes(_short(argument), "little", signed=True)


def _line(argument):
    """A whole number in decimal digits; 00 and 01 are truth values."""
    digits = _short(argument)
    truth = {b"00": False, b"01": True}
    return truth[digits] if digits in truth else int(digits.removesuffix(b"L"))


def _quoted(argument):
    return codecs.escape_decode(bytes(argument[1:-1]))[0]


def _text(encoding):
    """A function from a text to its bytes in Latin-1, as which the oldest protocols keep bytes."""

    def decode(argument):
        parts = (bytes(argument[at : at + _CHUNK]) for at in range(0, len(argument), _CHUNK))
        text = bytearray()
        for part in codecs.iterdecode(parts, encoding):
            text += part.encode("latin1")
        return text

    return decode


def _name(lines):
    """What a name means that stands in two lines, that of the module first."""
    name = ".".join(_short(lines).decode("latin1").split("\n"))
    meaning = _NAMES.get(name.replace("numpy._core.", "numpy.core."))
    if meaning is None:
        raise NoArrayError(f"it asks for {ascii(name)[1:-1]}")
    return meaning


def _encoded(text, encoding):
    if encoding != b"latin1":
        raise NoArrayError
    return text


def _type(code, *_):
    """The type of numbers that a code such as u1 means, not yet of a byte order."""
    code = _short(code).decode("latin1")
    if not re.fullmatch("[biuf][0-9]{1,2}", code):
        raise NoArrayError(f"it holds values of type {ascii(code)[1:-1]}")
    dtype = np.dtype(code)
    if f"{dtype.kind}{dtype.itemsize}" != code:
        raise NoArrayError
    return (dtype,)


def _ordered(built, *state):
    """A type of numbers with the byte order of its state, which has no fields and no subarrays."""
    (dtype,) = built
    version, order, *rest = state
    if (version, rest) != (3, [None, None, None, -1, -1, 0]):
        raise NoArrayError("it holds values of a type with parts")
    if order not in ((b"|",) if dtype.itemsize == 1 else (b"<", b">")):
        raise NoArrayError
    return dtype.newbyteorder(str(order, "latin1"))


def _reconstruct(kind, shape, code):
    if (kind, shape, code) != ("ndarray", (0,), b"b"):
        raise NoArrayError
    return _EMPTY


def _filled(version, shape, dtype, is_fortran, values):
    """The array of a state, writable and of the machine's byte order."""
    if version != 1 or is_fortran not in (0, 1):
        raise NoArrayError
    values = values if isinstance(values, bytearray) else bytearray(values)
    array = _shaped(values, dtype, shape, "F" if is_fortran else "C")
    if not dtype.isnative:
        array.byteswap(inplace=True)
        array = array.view(dtype.newbyteorder("="))
    return array


def _from_buffer(values, dtype, shape, order, axes=None):
    """An array of these values; its order K means C, with the axes in another order."""
    if order == b"K" and _are_whole(axes):
        return _shaped(values, dtype, shape, "C").transpose(axes)
    if order not in (b"C", b"F") or axes is not None:
        raise NoArrayError
    return _shaped(values, dtype, shape, str(order, "latin1"))


def _shaped(values, dtype, shape, order):
    if not isinstance(dtype, np.dtype) or not _are_whole(shape):
        raise NoArrayError
    if math.prod(shape) * dtype.itemsize != len(values):
        raise NoArrayError(
            f"it holds {len(values)} bytes for an array of shape {str(shape)[:LONGEST]}, {dtype}"
        )
    values = values if isinstance(values, bytearray) else bytes(values)  # these can't be written to
    return np.frombuffer(values, dtype).reshape(shape, order=order)


def _are_whole(numbers):
    return isinstance(numbers, tuple) and all(type(n) is int and n >= 0 for n in numbers)


_CALLS = {
    "dtype": _type,
    "reconstruct": _reconstruct,
    "from buffer": _from_buffer,
    "encode": _encoded,
    "no bytes": lambda: b"",
}
_PUTS = {"PUT": _line, "BINPUT": _unsigned, "LONG_BINPUT": _unsigned, "MEMOIZE": None}
_GETS = {"GET": _line, "BINGET": _unsigned, "LONG_BINGET": _unsigned}
_VALUES = {  # of the opcodes that put something on the stack
    **dict.fromkeys(("BININT1", "BININT2"), _unsigned),
    **dict.fromkeys(("BININT", "LONG1"), _signed),
    **dict.fromkeys(("INT", "LONG"), _line),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), lambda values: values),
    **dict.fromkeys(("SHORT_BINSTRING", "BINSTRING"), lambda values: values),  # of Python 2
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _text("utf-8")),
    "BYTEARRAY8": bytearray,
    "STRING": _quoted,
    "UNICODE": _text("raw-unicode-escape"),
    "GLOBAL": _name,
    "MARK": lambda _: _MARK,
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_TUPLE": lambda _: (),
}
