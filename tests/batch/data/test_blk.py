import os
import pathlib
import pickle

import blosc
import numpy as np
import pytest

from batch.data.blk import BlkError, read_blk, write_blk


def packed(tmp_path, payload):
    path = tmp_path / "crafted.blk"
    path.write_bytes(blosc.compress(payload, typesize=1))
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", ">f8", "bool"])
def test_arrays_come_back(tmp_path, dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    write_blk(tmp_path / "a.blk", array)
    np.testing.assert_array_equal(read_blk(tmp_path / "a.blk"), array)
    unpacked = blosc.unpack_array((tmp_path / "a.blk").read_bytes())
    np.testing.assert_array_equal(unpacked, array)
    assert [file.name for file in tmp_path.iterdir()] == ["a.blk"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_files_of_older_numpy_can_be_read(tmp_path, order, protocol):
    array = np.asarray(np.arange(12.0).reshape(3, 4), order=order)
    payload = pickle.dumps(array, protocol=protocol).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in payload
    np.testing.assert_array_equal(read_blk(packed(tmp_path, payload)), array)


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


class System:
    def __reduce__(self):
        return os.system, ("echo",)


def test_a_crafted_file_runs_nothing(tmp_path):
    target = tmp_path / "ran"
    with pytest.raises(BlkError, match="it asks for"):
        read_blk(packed(tmp_path, pickle.dumps(Runs(target))))
    with pytest.raises(BlkError, match=r"it asks for posix\.system"):
        read_blk(packed(tmp_path, pickle.dumps(System())))
    assert not target.exists()


@pytest.mark.parametrize(
    "thing",
    [
        {"a": 1},
        [1, 2],
        np.array([{"a": 1}], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "f4")]),
        np.array([1 + 2j]),
        np.ma.zeros(3),
    ],
)
def test_anything_but_a_plain_array_is_refused(tmp_path, thing):
    for protocol in (2, 5):
        with pytest.raises(BlkError):
            read_blk(packed(tmp_path, pickle.dumps(thing, protocol=protocol)))


def test_a_huge_declared_size_is_refused_before_it_is_unpacked(tmp_path):
    payload = bytearray(blosc.compress(b"x" * 1000, typesize=1))
    payload[4:8] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "a.blk").write_bytes(payload)
    with pytest.raises(BlkError):
        read_blk(tmp_path / "a.blk")


def test_a_file_cut_short_is_refused(tmp_path):
    write_blk(tmp_path / "a.blk", np.arange(1000))
    whole = (tmp_path / "a.blk").read_bytes()
    for part in (b"", whole[:10], whole[:-1]):
        (tmp_path / "a.blk").write_bytes(part)
        with pytest.raises(BlkError):
            read_blk(tmp_path / "a.blk")
