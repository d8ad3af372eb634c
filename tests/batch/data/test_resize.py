import numpy as np
import pytest
import tensorflow as tf

from batch.data import resize
from batch.data.resize import resized
from utils import load_data


@pytest.mark.parametrize(
    ("shape", "side"),
    [((32, 32, 3), 96), ((32, 32, 3), 50), ((28, 28, 1), 8), ((9, 14, 3), 20), ((14, 9, 2), 5)],
)
def test_images_are_interpolated_as_tensorflow_does(shape, side, monkeypatch):
    monkeypatch.setattr(resize, "TOGETHER", 3)
    images = np.random.default_rng(0).integers(0, 256, (10, *shape), dtype=np.uint8)
    made = resized(images, side)
    expected = tf.image.resize(images, (side, side), antialias=True).numpy()
    assert made.dtype == np.uint8
    assert np.abs(made - expected).max() < 0.501
    np.testing.assert_array_equal(resized(images[7:8], side), made[7:8])


def test_the_size_that_images_have_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized(images, 6), images)


def test_both_splits_are_resized():
    data = load_data("digits")
    made = data.with_image_size(9)
    assert made.train.images.shape == (1347, 9, 9, 1)
    np.testing.assert_array_equal(made.test.images, resized(data.test.images, 9))
    assert made.test.labels is data.test.labels
    assert "images of 9×9×1" in made.summary()


@pytest.mark.parametrize("side", [0, -3, 2.5, 4097, "9"])
def test_sizes_that_are_none_are_refused(side):
    with pytest.raises(ValueError, match="image_size must be a whole number above 0"):
        resized(np.zeros((1, 2, 2, 1), np.uint8), side)
