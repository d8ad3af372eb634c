import collections

import numpy as np
import pytest
import tensorflow as tf

from batch.data.examples import Examples
from batch.training.preprocessing import Preprocessing
from batch.training.views import with_views

ROWS = np.arange(40)


def seen(preprocessing, iteration, rows=ROWS, ids=None):
    """The examples, of 40 images, with their views; nobody looks at the images."""
    return with_views(Examples(np.zeros(40), None, rows, ids), iteration, preprocessing)


def versions(preprocessing, iterations, **given):
    """From each example and view to its crop, all over some iterations."""
    crops = {}
    for iteration in range(iterations):
        examples = seen(preprocessing, iteration, **given)
        for key, crop in zip(zip(ROWS.tolist(), examples.views.tolist()), examples.crops.tolist()):
            assert crops.setdefault(key, crop) == crop
    return crops


@pytest.mark.parametrize("views", [1, 2, 5])
def test_every_example_has_so_many_fixed_versions(views):
    crops = versions(Preprocessing(pad=2, flip=True, views=views), 60)
    assert set(crops) == {(row, view) for row in ROWS.tolist() for view in range(views)}


@pytest.mark.parametrize(("pad", "flip"), [(2, True), (3, False), (0, True)])
def test_crops_are_spread_over_all_there_are(pad, flip):
    crops = list(versions(Preprocessing(pad=pad, flip=flip, views=64), 500).values())
    counts = collections.Counter(map(tuple, crops))
    places = (2 * pad + 1) ** 2 * (1 + flip)
    assert len(counts) == places
    expected = len(crops) / places
    assert max(abs(count - expected) for count in counts.values()) < 5 * expected**0.5
    assert np.max(crops, axis=0).tolist() == [2 * pad, 2 * pad, flip]


@pytest.mark.parametrize("size", [40, 10, 16, 39, 1])
def test_every_version_is_seen_once_in_as_many_epochs_as_there_are_views(size):
    rng, counts = np.random.default_rng(0), np.zeros((40, 3), int)
    order = np.concatenate([rng.permutation(40) for _ in range(7)])
    for iteration in range(280 // size):
        rows = order[iteration * size : (iteration + 1) * size]  # epochs meet within batches
        counts[rows, seen(Preprocessing(flip=True, views=3), iteration, rows).views] += 1
        if (iteration + 1) * size in (120, 240):
            assert (counts == (iteration + 1) * size // 120).all()
    assert counts.sum() == 280 // size * size
    assert np.ptp(counts) <= 1 + (280 % size > 0)


def test_more_views_are_the_fewer_and_others():
    few, many = (versions(Preprocessing(pad=2, flip=True, views=views), 200) for views in (3, 6))
    assert few == {key: crop for key, crop in many.items() if key[1] < 3}


def test_seed_and_iteration_decide():
    first, other = (Preprocessing(pad=4, flip=True, views=4, seed=seed) for seed in (1, 2**63 - 1))
    assert versions(first, 40) == versions(first, 40)
    assert versions(first, 40) != versions(other, 40)
    assert not np.array_equal(seen(first, 1).views, seen(first, 2).views)
    assert len(set(seen(first, 0).views.tolist())) == 4  # not all begin with the same


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint64, object])
def test_ids_that_are_rows_give_what_rows_give(dtype):
    preprocessing = Preprocessing(pad=2, flip=True, views=4)
    by_ids = seen(preprocessing, 3, np.zeros(40, int), ROWS.astype(dtype))
    np.testing.assert_array_equal(by_ids.crops, seen(preprocessing, 3).crops)


def test_names_mean_the_same_in_every_process():
    preprocessing = Preprocessing(pad=4, flip=True, views=8, seed=3)
    names = np.array(["a", "bé", -1, 2**70], object)
    examples = seen(preprocessing, 15, ROWS[:4], names)
    assert examples.views.tolist() == [5, 1, 5, 4]
    assert examples.crops.tolist() == [[3, 8, 1], [4, 1, 0], [1, 7, 1], [8, 5, 1]]
    text = np.array(["a", "bé"])
    for ids in (text, np.char.encode(text, "utf-8")):
        np.testing.assert_array_equal(
            seen(preprocessing, 30, ROWS[:2], ids).crops, examples.crops[:2]
        )


def test_images_are_cropped_and_mirrored_as_drawn():
    images = np.random.default_rng(0).integers(1, 256, (40, 7, 6, 3), dtype=np.uint8)
    preprocessing = Preprocessing((0.5,) * 3, (0.2,) * 3, pad=2, flip=True, views=3)
    crops = seen(preprocessing, 0).crops
    made = preprocessing.training(tf.constant(images), tf.constant(crops)).numpy()
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for image, output, (top, left, mirrored) in zip(padded, made, crops, strict=True):
        crop = image[top : top + 7, left : left + 6]
        crop = crop[:, ::-1] if mirrored else crop
        np.testing.assert_allclose(output, (crop / 255 - 0.5) / 0.2, rtol=1e-4, atol=1e-5)


def test_without_views_all_is_drawn_from_seed_and_iteration_as_ever():
    images = np.random.default_rng(0).integers(0, 256, (30, 5, 5, 1), dtype=np.uint8)
    preprocessing = Preprocessing(pad=2, flip=True, seed=4)
    assert preprocessing.seen(examples := Examples(images, None, ROWS), 0) is examples
    top, left, mirrored = tf.random.stateless_uniform((3, 30), (4, 9)).numpy()
    made = preprocessing.training(tf.constant(images), tf.constant(9)).numpy()
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for image, output, *place, flipped in zip(padded, made, 5 * top, 5 * left, mirrored < 0.5):
        row, column = map(int, place)
        crop = image[row : row + 5, column : column + 5]
        crop = crop[:, ::-1] if flipped else crop
        np.testing.assert_allclose(output, crop / 255, rtol=1e-6)
