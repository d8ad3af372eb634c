"""Images in mapped files are as those in memory, whatever is done with them."""

import errno
import os

import numpy as np
import pytest

from batch.data import data as packing
from batch.data import mapped
from batch.data.data import pack
from batch.data.dataset import Data, DataError, Split
from batch.data.mapped import copied, loaded, mapping_of, new_file
from batch.data.scales import Pixels
from batch.training.preprocessing import channel_statistics

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 8, 9, 3)).astype(np.uint8)
LABELS = np.arange(60) % 3


@pytest.fixture(params=["little", "much"])
def memory(request, monkeypatch):
    """Memory that holds no array well, or all of them; arrays are read in parts of five images."""
    monkeypatch.setattr(mapped, "free_memory", lambda: 100 if request.param == "little" else 10**9)
    monkeypatch.setattr(mapped, "PART", 5 * IMAGES[0].nbytes)
    return request.param


@pytest.fixture
def on_disk(tmp_path):
    """A function that maps an array that was saved."""

    def save(array, name="images"):
        np.save(tmp_path / f"{name}.npy", array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    return save


@pytest.fixture
def both(on_disk, memory):
    """Data in memory, and the same in mapped files."""
    parts = [slice(45), slice(45, None)]
    files = [on_disk(IMAGES[rows], str(rows.start)) for rows in parts]
    held = [Split(IMAGES[rows], LABELS[rows]) for rows in parts]
    lying = [Split(images, LABELS[rows]) for images, rows in zip(files, parts)]
    return Data("own", 3, *held), Data("own", 3, *lying)


def check_same(split, expected):
    np.testing.assert_array_equal(split.images, expected.images)
    np.testing.assert_array_equal(split.labels, expected.labels)
    assert (split.images.dtype, mapping_of(expected.images)) == (np.uint8, None)


CHANGES = {
    "train images": lambda data: data.with_train_images(30),
    "test images": lambda data: data.with_test_images(9),
    "size": lambda data: data.with_image_size(5),
    "larger": lambda data: data.with_image_size(11),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_made_of_mapped_images_is_as_of_those_in_memory(both, memory, change):
    held, lying = map(CHANGES[change], both)
    for kind in ("train", "test"):
        check_same(getattr(lying, kind), getattr(held, kind))
    made = lying.test.images if change == "test images" else lying.train.images
    assert (mapping_of(made) is not None) == (memory == "little")
    assert lying.summary() == held.summary()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32, np.float64, ">f4"])
def test_arrays_of_ones_own_may_be_mapped(on_disk, memory, dtype):
    images = IMAGES // 128 if dtype is bool else IMAGES / 255 if "f" in str(dtype) else IMAGES
    images = images.astype(dtype)
    expected = Data.of(images[:45], LABELS[:45], images[45:], LABELS[45:])
    lying = on_disk(images)
    data = Data.of(lying[:45], LABELS[:45], lying[45:], LABELS[45:])
    check_same(data.train, expected.train)
    check_same(data.test, expected.test)
    assert data.summary() == expected.summary()
    assert (mapping_of(data.train.images) is None) == (memory == "much" and dtype != np.uint8)


def test_what_is_wrong_in_a_later_part_is_noticed(on_disk, memory):
    images = (IMAGES / 255).astype(np.float32)
    for value, message in ((np.nan, "pixels must be finite"), (0.5, "pixels must be whole num")):
        images[44, 7, 8, 2] = value
        lying = on_disk(images)
        with pytest.raises(DataError, match=message):
            Data.of(lying[:45], LABELS[:45], lying[45:], LABELS[45:])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "bool"])
def test_range_and_statistics_are_of_all_parts(on_disk, memory, dtype):
    images = RNG.integers(1, 200, (60, 4, 4, 2)).astype(dtype)
    images[50, 0, 0, 0], images[59, 1, 1, 1] = 0, 201
    lying = on_disk(images)
    assert Pixels.of(lying) == Pixels(images.dtype, 60, images.min(), images.max())
    if dtype == "uint8":
        statistics = channel_statistics(lying)
        np.testing.assert_allclose(statistics["mean"], (images / 255).mean((0, 1, 2)), rtol=1e-12)
        np.testing.assert_allclose(statistics["std"], (images / 255).std((0, 1, 2)), rtol=1e-12)
        assert channel_statistics(images) == statistics
    if "float" in dtype:
        images[30, 0, 0, 0] = np.nan
        assert np.isnan([Pixels.of(images).low, Pixels.of(images).high]).all()


def test_copies_are_in_memory_where_they_fit(on_disk, memory):
    lying = on_disk(IMAGES)
    rows = np.array([59, 3, 3, 0])
    np.testing.assert_array_equal(copied(lying, rows), IMAGES[rows])
    assert (mapping_of(copied(lying)) is None) == (memory == "much")
    assert mapping_of(copied(IMAGES)) is None
    np.testing.assert_array_equal(copied(lying[::2], dtype=np.float32), IMAGES[::2])


def test_a_file_is_written_read_and_never_changed(tmp_path, memory):
    new_file(tmp_path / "x.npy", IMAGES.shape)[:] = IMAGES
    array = loaded(tmp_path / "x.npy")
    np.testing.assert_array_equal(array, IMAGES)
    assert (mapping_of(array[3:]) is None) == (memory == "much")
    if memory == "little":
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_disk_without_room_for_a_copy_is_named(both, memory, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    if memory == "much":
        assert both[1].with_train_images(30).train.images.shape == (30, 8, 9, 3)
        return
    with pytest.raises(OSError, match=r"0\.0 GB made of mapped images have no room: No space "):
        both[1].with_train_images(30)


def test_packing_gives_the_same_files_or_is_refused(both, tmp_path, monkeypatch):
    for data, name in zip(both, "ab"):
        pack(data, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    monkeypatch.setattr(packing, "free_memory", lambda: 3 * IMAGES.nbytes - 1)
    with pytest.raises(DataError, match=r"own must be at most 0\.0 GB of images to be packed"):
        pack(both[1], tmp_path / "c")
    assert not (tmp_path / "c").exists()
