import contextlib
import logging
import os
import pickle
import random

import blosc
import numpy as np
import pytest

from batch.data import blk
from batch.data.blk import BlkError, read_blk, read_checked, write_blk
from batch.data.data import load_data

HEADER = 16  # bytes


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.blk"


def refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(BlkError, match=match) as error:
        read_blk(path)
    assert len(str(error.value)) < 200


def with_sizes(content, **sizes):
    """Packed bytes that declare other numbers of bytes: unpacked, of a block, packed."""
    changed = bytearray(content)
    for at, name in ((4, "unpacked"), (8, "block"), (12, "packed")):
        if name in sizes:
            changed[at : at + 4] = sizes[name].to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", ">f8", "bool"])
@pytest.mark.parametrize("shape", [(24,), (2, 3, 4), (0, 3)])
def test_arrays_come_back(path, dtype, shape, caplog):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    write_blk(path, array)
    read = read_blk(path)
    np.testing.assert_array_equal(read, array)
    assert (read.dtype, read.flags.writeable) == (array.dtype, True)
    np.testing.assert_array_equal(blosc.unpack_array(path.read_bytes()), array)
    assert [file.name for file in path.parent.iterdir()] == ["a.blk"]
    assert not caplog.records


@pytest.mark.parametrize("codec", blosc.compressor_list())
@pytest.mark.parametrize("shuffle", [blosc.NOSHUFFLE, blosc.SHUFFLE, blosc.BITSHUFFLE])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_what_blosc_packs_is_read(path, codec, shuffle, level):
    for array in (np.zeros(10**6, np.float32), np.zeros(3), np.arange(1000, dtype=">u2")):
        path.write_bytes(blosc.pack_array(array, level, shuffle, codec))
        read, checked = read_checked(path)
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype
        assert not checked


ARRAYS = {
    "bytes": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "zeros": np.zeros(2000, np.uint8),
    "random": np.random.default_rng(0).normal(size=20).astype(np.float32),
    "large": np.random.default_rng(0).integers(0, 2, (200, 28, 28)).astype(np.uint8),
    "large zeros": np.zeros((2000, 10)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_no_flipped_bit_gives_another_array(path, name):
    array = ARRAYS[name]
    write_blk(path, array)
    packed = path.read_bytes()
    bits = range(8 * len(packed))
    if name.startswith("large"):
        bits = [*range(8 * HEADER), *random.Random(0).sample(bits, 400)]
    caught = 0
    for bit in bits:
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            read, checked = read_checked(path)
        except BlkError:
            caught += 1
        else:  # what was flipped meant nothing
            assert checked
            assert (read.dtype, read.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(read, array)
    assert caught > len(bits) / 2


def test_a_checksum_must_be_that_of_its_array(path):
    match = "its checksum is not that of its array: it is damaged"
    ours, other = (pickle.dumps(np.full(3, value)) for value in (1, 2))
    for content in (ours + blk._checksum(other), ours + blk._checksum(ours)[:-1], ours + b"."):
        refused(path, blosc.compress(content, 1), match)


def test_a_file_without_a_checksum_is_read_and_said_to_be_unchecked(path, caplog):
    path.write_bytes(blosc.pack_array(np.arange(3)))
    for _ in range(2):
        assert read_blk(path).tolist() == [0, 1, 2]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"No checksum in {path}: damage would not be noticed.")


def test_data_of_two_such_files_are_said_to_be_unchecked_in_one_line(tmp_path, caplog):
    arrays = {"pics": np.zeros((14, 8, 8), np.uint8), "labels": np.arange(14) % 2}
    for kind, array in arrays.items():
        (tmp_path / f"own_{kind}.blk").write_bytes(blosc.pack_array(array))
    for _ in range(2):
        assert load_data(tmp_path).classes == 2
    (record,) = caplog.records
    assert all(f"own_{kind}.blk" in record.getMessage() for kind in arrays)


def test_a_crafted_file_runs_nothing(path):
    class System:
        def __reduce__(self):
            return os.system, ("echo",)

    refused(path, blosc.compress(pickle.dumps(System())), r"^it asks for posix\.system$")


def test_declared_sizes_are_checked_against_the_file(path, monkeypatch):
    monkeypatch.setattr(blosc, "decompress", lambda _: pytest.fail("it was decompressed"))
    packed = blosc.pack_array(np.zeros(1000, np.uint8))
    count = len(packed)
    for size in (0, count - 1, count + 1, 2**32 - 1):
        refused(path, with_sizes(packed, packed=size), rf"declares {size:,} bytes and has {count}$")
    for size in (256 * count, 2**31 - 17, 2**31, 2**32 - 1):
        refused(
            path,
            with_sizes(packed, unpacked=size),
            rf"declares {size:,} bytes unpacked, and {count} can't become these$",
        )
    refused(path, packed[:2] + b"\xff" + packed[3:], "can't become these")
    for size in (0, 1, 15):
        refused(path, packed[:size], f"it has {size} bytes, fewer than a header")


def test_declared_sizes_are_checked_against_the_free_memory(path, monkeypatch):
    monkeypatch.setattr(blosc, "decompress", lambda _: pytest.fail("it was decompressed"))
    monkeypatch.setattr(blk, "free_memory", lambda: 2_000_000)
    packed = blosc.pack_array(np.zeros(10**6, np.uint8))
    refused(path, packed, r"^it needs \d,\d{3},\d{3} bytes of memory, and 2,000,000 are free$")
    block = with_sizes(blosc.pack_array(np.zeros(500_000, np.uint8)), block=2**31 - 1)
    refused(path, block, r"^it needs 2,5\d{2},\d{3} bytes of memory, and 2,000,000 are free$")


def test_a_file_cut_short_is_refused(path):
    write_blk(path, np.arange(1000))
    whole = path.read_bytes()
    for part in (b"", whole[:10], whole[:-1], whole[:HEADER]):
        refused(path, part, "fewer than a header|bytes and has")
    for size in (HEADER, 20, len(whole) - 1):
        refused(path, with_sizes(whole[:size], packed=size), "damaged|can't become")


def test_only_regular_files_are_read(path, tmp_path):
    os.mkfifo(path)
    for special in (path, "/dev/zero"):
        with pytest.raises(BlkError, match="it is no regular file"):
            read_blk(special)
    with pytest.raises(IsADirectoryError):
        read_blk(tmp_path)


def test_too_large_an_array_is_refused(path):
    zeros = np.broadcast_to(np.uint8(0), (2**31,))
    with pytest.raises(ValueError, match=r"array must have at most 2,147,482,631 bytes\. Received"):
        write_blk(path, zeros)
    assert not path.exists()


@pytest.mark.parametrize("seed", range(3))
def test_changed_files_are_read_or_refused(path, seed):
    rng = random.Random(seed)
    codec = rng.choice(blosc.compressor_list())
    whole = [blosc.pack_array(array, cname=codec) for array in ARRAYS.values()]
    for _ in range(200):
        content = bytearray(rng.choice(whole))
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(content) if rng.random() < 0.5 else HEADER)
            content[at] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        path.write_bytes(content)
        with contextlib.suppress(BlkError):
            assert read_blk(path).dtype.kind in "biuf"
