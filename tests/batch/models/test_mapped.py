"""A model takes arrays in mapped files as they lie there, with the bits of arrays in memory."""

import gc
import weakref

import numpy as np
import pytest

from batch.data import mapped
from batch.models.feed import place
from batch.models.placed import as_tensor, place_once

FREEZEOUT = ("FreezeOut", {"iterations": 6, "learning_rate": 0.1, "t_0": 0.4, "degree": 1})


@pytest.fixture
def on_disk(tmp_path):
    """A function that maps an array that was saved."""

    def save(array, mode="r"):
        np.save(tmp_path / "images.npy", array)
        return np.load(tmp_path / "images.npy", mmap_mode=mode)

    return save


KINDS = {
    "uint8": lambda images: images,
    "float32": lambda images: (images / 255).astype(np.float32),
    "float64": lambda images: images / 255,
    "big end first": lambda images: (images / 255).astype(">f4"),
    "without channels": lambda images: images[..., 0],
    "every other": lambda images: np.repeat(images, 2, axis=0),
    "columns first": np.asfortranarray,
    "a later row": lambda images: np.concatenate([images[:1], images]),
}
PARTS = {"every other": slice(None, None, 2), "a later row": slice(1, None)}


@pytest.fixture(params=KINDS)
def both(request, examples, on_disk, monkeypatch):
    """Images in memory, and the same in a mapped file; memory holds no copy well."""
    monkeypatch.setattr(mapped, "free_memory", lambda: 100)
    images, rows = KINDS[request.param](examples[0]), PARTS.get(request.param, slice(None))
    return images[rows].copy(), on_disk(images)[rows]


def test_tensors_are_those_of_arrays_in_memory(both, examples):
    (expected, _), (tensor, _) = (place(images, examples[1], 3) for images in both)
    assert tensor.dtype == expected.dtype
    np.testing.assert_array_equal(tensor, expected)


@pytest.mark.parametrize("both", ["uint8", "a later row"], indirect=True)
def test_losses_and_predictions_are_those_of_arrays_in_memory(make, examples, both):
    labels, results = examples[1], []
    for given in both:
        model = make(augment=True)
        losses = [model.train(given, labels, rows=np.arange(20) + step) for step in range(3)]
        fetches = ["predictions", "output_accuracy", "loss"]
        results.append([losses, *model.predict(given, labels, fetches=fetches)])
    for here, there in zip(*results):
        np.testing.assert_array_equal(here, there)


def test_what_frozen_blocks_compute_is_kept_as_of_arrays_in_memory(make, examples, on_disk):
    lying, results = on_disk(examples[0]), []
    augment = {"pad": 1, "flip": True, "views": 2}
    for images in (examples[0], lying):
        model = make(schedule=FREEZEOUT, cache="memory", augment=augment)
        rows = [np.arange(20) * 3 % 60, np.arange(20) + 7] * 4
        losses = [model.train(images, examples[1], rows=some) for some in rows]
        results.append((losses, {**model.trainer.cache.stats(), "seconds_saved": 0}))
    assert results[0] == results[1]
    assert results[0][1]["hits"] > 0


def memory_of(tensor):
    """Where the values of a tensor lie."""
    return np.asarray(memoryview(tensor)).__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64", "bool"])
def test_a_tensor_of_a_mapped_array_is_its_memory(on_disk, dtype):
    values = np.arange(64).reshape(4, 16).astype(dtype)
    array = on_disk(values)
    tensor = as_tensor(array)
    assert memory_of(tensor) == array.__array_interface__["data"][0]
    np.testing.assert_array_equal(tensor, values)
    gone = weakref.ref(array)
    del array
    gc.collect()
    assert gone() is None  # or nothing that is placed would ever leave
    np.testing.assert_array_equal(tensor, values)


def test_rows_that_change_in_the_file_are_noticed(on_disk):
    array = on_disk(np.zeros((6, 64), np.uint8), "r+")
    first = place_once(array, as_tensor, np.array([1, 2]))
    assert place_once(array, as_tensor, np.array([1, 2])) is first
    array[2] = 7
    again = place_once(array, as_tensor, np.array([1, 2]))
    assert again is not first
    np.testing.assert_array_equal(again, array)


def test_what_can_not_be_trained_on_is_refused_in_a_later_part_too(make, examples, on_disk):
    images = (examples[0] / 255).astype(np.float32)
    images[-1, -1, -1] = np.nan
    with pytest.raises(ValueError, match="images must be finite"):
        make().train(on_disk(images), examples[1], rows=np.arange(20))
    images = examples[0].astype(np.int64)
    images[-1, -1, -1] = 2**24 + 1
    with pytest.raises(ValueError, match="whole numbers must be at most 16777216"):
        make().train(on_disk(images), examples[1], rows=np.arange(20))
