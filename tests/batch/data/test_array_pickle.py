import contextlib
import os
import pathlib
import pickle
import pickletools
import random
import struct

import numpy as np
import pytest

from batch.data.array_pickle import MOST_OPCODES, NoArrayError, read_array

VALUES = np.arange(6, dtype=">u2").reshape(2, 3)
# As Python 2 wrote it, by protocols 2 and 0.
PYTHON_2 = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq"
    b"\x03(K\x01K\x02\x8a\x01\x03\x86cnumpy\ndtype\nq\x04U\x02u2K\x00K\x01\x87Rq\x05(K\x03U\x01>NNNJ"
    b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c" + VALUES.tobytes() + b"tb.",
    b"cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntS'b'\ntRp3\n(I1\n(I2\nL3L"
    b"\ntcnumpy\ndtype\np4\n(S'u2'\nI0\nI1\ntRp5\n(I3\nS'>'\nNNNI-1\nI-1\nI0\ntbI00\nS'"
    + "".join(f"\\x{byte:02x}" for byte in VALUES.tobytes()).encode()
    + b"'\ntb.",
)


def layouts(array):
    yield array
    yield array.reshape(3, 4, 5)
    yield np.asfortranarray(array.reshape(5, 12))
    yield array.reshape(3, 4, 5).transpose(1, 0, 2)
    yield array[::7]
    yield array[:0].reshape(0, 3)
    yield array[7:8].reshape(())
    array.flags.writeable = False
    yield array


def same(array, expected):
    assert (array.dtype.str, array.shape) == (expected.dtype.str, expected.shape)
    assert array.strides == expected.strides
    assert array.tobytes() == expected.tobytes()
    assert array.flags.writeable == expected.flags.writeable
    assert array.flags.aligned


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<u2", ">u2", "i8", ">i4", "f2", "f4", ">f8"])
def test_arrays_are_what_pickle_makes_of_them(dtype, protocol):
    for array in layouts(np.arange(60).astype(dtype)):
        pickled = pickle.dumps(array, protocol)
        older = pickled.replace(b"numpy._core", b"numpy.core") if protocol < 4 else pickled
        for payload in (pickled, older):
            read, end = read_array(payload + b"more")
            same(read, pickle.loads(pickled))
            assert end == len(payload)


@pytest.mark.parametrize("payload", PYTHON_2)
def test_arrays_of_python_2(payload):
    array, _ = read_array(payload)
    same(array, pickle.loads(payload, encoding="latin1"))
    np.testing.assert_array_equal(array, VALUES)


@pytest.mark.parametrize("protocol", range(6))
def test_large_arrays(protocol):
    array = np.arange(2**19, dtype=np.uint8).reshape(2, -1)
    same(read_array(pickle.dumps(array, protocol))[0], pickle.loads(pickle.dumps(array, protocol)))


def test_an_array_mapped_from_a_file(tmp_path):
    mapped = np.memmap(tmp_path / "a", np.uint8, "w+", shape=(2, 3))
    mapped[:] = np.arange(6).reshape(2, 3)
    array, _ = read_array(pickle.dumps(mapped))
    assert type(array) is np.ndarray
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_called(tmp_path, protocol):
    target = tmp_path / "ran"
    with pytest.raises(NoArrayError, match="it asks for"):
        read_array(pickle.dumps(Calls(pathlib.Path.touch, target), protocol))
    with pytest.raises(NoArrayError, match=r"^it asks for posix\.system$"):
        read_array(pickle.dumps(Calls(os.system, "echo"), protocol))
    with pytest.raises(NoArrayError):
        read_array(pickle.dumps(Calls(np.ndarray, (2**40,), np.dtype("u1")), protocol))
    assert not target.exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "thing",
    [
        {"a": 1},
        [1, 2],
        (1, 2),
        None,
        b"bytes",
        "text",
        3,
        np.float64(3),
        np.dtype("u1"),
        np.ndarray,
        [np.zeros(2)],
        np.array([{"a": 1}], dtype=object),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, dtype=[("a", "f4")]),
        np.zeros(2, dtype=np.dtype("u1", metadata={"a": 1})),
        np.array([1 + 2j]),
        np.ma.zeros(3),
        np.zeros(3).view(np.recarray),
    ],
    ids=str,
)
def test_anything_but_a_plain_array_is_refused(thing, protocol):
    with pytest.raises(NoArrayError, match=r"^it "):
        read_array(pickle.dumps(thing, protocol))


def whole(number):
    return b"\x8a" + struct.pack("<B", 20) + number.to_bytes(20, "little", signed=True)


PLAIN = pickletools.optimize(pickle.dumps(np.arange(6, dtype="<u2").reshape(2, 3), 3))
SHAPE = b"K\x02K\x03\x86"
STATE = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
assert all(PLAIN.count(part) == 1 for part in (SHAPE, STATE, b"X\x01\x00\x00\x00<"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *((SHAPE, whole(rows) + b"K\x03\x86") for rows in (3, -2, -(2**62), 2**62, 2**64 + 2)),
        (SHAPE, b"K\x00" + whole(2**70) + b"\x86"),
        (SHAPE, whole(-2) + whole(-3) + b"\x86"),
        (SHAPE, b"K\x07\x85"),
        (SHAPE, b"K\x06" + b"(" + b"K\x01" * 80 + b"t"),
        (SHAPE, b"K\x06"),
        (SHAPE, b"\x88K\x06\x86"),
        (SHAPE, b"C\x02\x02\x03"),
        (SHAPE, b"(" + b"K\x02" * MOST_OPCODES + b"t"),
        (b"<", b"|"),
        (b"<", b"="),
        (b"<", b"x"),
        (b"u2", b"u1"),
        (b"u2", b"u3"),
        (b"u2", b"c8"),
        (b"u2", b"O8"),
        (b"u2", b"V2"),
        (b"u2", b"b2"),
        (b"u2", b"Z9"),
        (STATE, STATE.replace(b"NNN", b"K\x01NN")),  # what crashed NumPy: a subarray, names, fields
        (STATE, STATE.replace(b"NNN", b"N(t}")),
        (STATE, STATE.replace(b"K\x00t", b"K\x3ft")),
        (STATE, STATE.replace(b"\xff\xff\xff\xffK", b"\x00\x00\x00\x40K")),
        (STATE, STATE[:-1] + b"}t"),
        (STATE, b"t"),
        (b"K\x00\x85", b"K\x05\x85"),
        (b"C\x01b", b"C\x01O"),
        (b"_reconstruct", b"scalar"),
        (b"\x89C", b"K\x02C"),
        (b"\x89C", b"NC"),
        (b"C\x0c", b"C\x0b"),
        (b"C\x0c", b"C\xff"),
        (b"C\x0c", b"B\xff\xff\xff\x7f"),
        (b"tb.", b"tb"),
        (b"tb.", b"tb0."),
        (b"tb.", b"tb2."),
        (b"tb.", b"tbK\x01."),
        (b"tb.", b"tb\x85."),
        (b"tb.", b"tbNb."),
        (b"tb.", b"t."),
    ],
)
def test_what_numpy_does_not_write_is_refused(old, new):
    assert old in PLAIN
    before, after = PLAIN.rsplit(old, 1)
    with pytest.raises(NoArrayError, match=r"^it ") as refused:
        read_array(before + new + after)
    assert len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)


def test_a_shape_that_does_not_fit_is_named():
    with pytest.raises(NoArrayError, match=r"12 bytes for an array of shape \(2, 4\), uint16"):
        read_array(PLAIN.replace(SHAPE, b"K\x02K\x04\x86"))


@pytest.mark.parametrize(
    "values",
    [b"N" * 10**7, b"(" * 10**7, b"I" + b"9" * 10**7 + b"\n", b"c" + b"a" * 10**7 + b"\nb\n"],
    ids=["many", "deep", "long", "long name"],
)
def test_long_pickles_are_refused_soon(values):
    with pytest.raises(NoArrayError):
        read_array(values + b".")


def test_an_array_is_made_only_once():
    again = PLAIN[2:-1]  # each would take as much memory as the values
    with pytest.raises(NoArrayError):
        read_array(PLAIN[:-1] + again + b".")


def test_changed_pickles_are_read_or_refused():
    rng = random.Random(0)
    opcodes = [ord(opcode.code) for opcode in pickletools.opcodes]
    for _ in range(3000):
        payload = bytearray(pickle.dumps(VALUES, rng.randrange(6)))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(payload))
            payload[at : at + rng.randrange(3)] = rng.choice(
                (b"", bytes([rng.choice(opcodes)]), rng.randbytes(2), payload[at : at + 20])
            )
        with contextlib.suppress(NoArrayError):
            array, end = read_array(bytes(payload))
            assert array.nbytes <= len(payload)
            assert end <= len(payload)
