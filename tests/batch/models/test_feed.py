import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from batch.models import feed
from batch.models.feed import typed


def test_the_same_arrays_are_placed_once(examples):
    images, labels = examples
    first, second = feed.place(images, labels, 3), feed.place(images, labels, 3)
    assert first[0] is second[0]
    assert first[1] is second[1]
    assert (first[0].dtype, first[1].dtype) == (tf.uint8, tf.int64)


def test_shapes_and_types(examples):
    images, labels = examples
    placed, _ = feed.place(images[..., 0].astype(np.float64), labels, 3)
    assert placed.shape == (60, 8, 8, 1)
    assert placed.dtype == tf.float32


def test_rows_of_words_stay_rows_and_exact():
    words = np.array([[0, 2**24], [1, 2]])
    placed, _ = feed.place(words, np.array([0, 1]), 2)
    np.testing.assert_array_equal(placed.numpy(), words)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros(60), r"\(N, H, W\)"),
        (np.full((60, 8), 2**24 + 1), "at most 16777216"),
        (np.full((60, 8, 8), np.nan), "NaN"),
        (np.full((60, 8, 8), np.inf), "infinite"),
        (np.full((60, 8, 8), "a"), "must be numbers"),
        (np.zeros((60, 0, 8)), "not empty"),
        (np.zeros((59, 8, 8)), "same length"),
    ],
)
def test_bad_images_are_refused(examples, images, message):
    with pytest.raises(ValueError, match=message):
        feed.place(images, examples[1], 3)


def test_labels_out_of_range_are_refused(examples):
    images, labels = examples
    with pytest.raises(ValueError, match="from 0 to 1"):
        feed.place(images, labels, 2)


def test_pil_images_and_lists_become_one_array(examples):
    images = examples[0]
    pictures = np.empty(len(images), object)
    pictures[:] = [PIL.Image.fromarray(image[..., 0]) for image in images]
    for given in (pictures, list(pictures), list(images[..., 0]), images[..., 0].tolist()):
        array = typed(given)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, images[..., 0])
    assert typed(images) is images


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (
            [PIL.Image.new("L", (8, 8)), PIL.Image.new("L", (8, 9))],
            "one size: .* Received: 8×8, 8×9",
        ),
        ([PIL.Image.new("P", (8, 8))] * 2, r"palettes: convert them, as by \.convert\('RGB'\)"),
    ],
)
def test_pictures_that_make_no_array_are_refused(pictures, message):
    objects = np.empty(2, object)
    objects[:] = pictures
    with pytest.raises(ValueError, match=message):
        typed(objects)
