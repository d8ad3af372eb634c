import numpy as np
import pytest
import tensorflow as tf

from batch.training.preprocessing import Preprocessing, channel_statistics, make_preprocessing


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(1, 256, (40, 7, 6, 3), dtype=np.uint8)


def crops(image, pad):
    """Every crop of a padded image, and its mirror image."""
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    height, width = image.shape[:2]
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            crop = padded[top : top + height, left : left + width]
            yield (top, left, False), crop
            yield (top, left, True), crop[:, ::-1]


def drawn(images, preprocessing, iteration):
    """Which crop of each image training took."""
    outputs = np.round(255 * preprocessing.training(tf.constant(images), iteration).numpy())
    return [
        next(row for row, crop in crops(image, preprocessing.pad) if np.array_equal(crop, output))
        for image, output in zip(images, outputs)
    ]


def test_training_images_are_crops_and_mirror_images(images):
    places = np.array(drawn(images, Preprocessing(pad=2, flip=True), 0))
    assert set(places[:, 0]) == set(places[:, 1]) == set(range(5))
    assert 10 <= places[:, 2].sum() <= 30


def test_crops_alone_and_flips_alone(images):
    assert not any(mirrored for *_, mirrored in drawn(images, Preprocessing(pad=1), 0))
    assert set(drawn(images, Preprocessing(flip=True), 0)) == {(0, 0, False), (0, 0, True)}


def test_iteration_and_seed_decide_what_is_drawn(images):
    first, second = Preprocessing(pad=2, flip=True, seed=1), Preprocessing(pad=2, flip=True, seed=2)
    assert drawn(images, first, 3) == drawn(images, first, 3)
    assert drawn(images, first, 3) != drawn(images, first, 4)
    assert drawn(images, first, 3) != drawn(images, second, 3)


def test_inference_never_varies(images):
    preprocessing = Preprocessing(pad=2, flip=True)
    np.testing.assert_allclose(
        preprocessing.inference(tf.constant(images)), images / 255, rtol=1e-6
    )


def test_normalization_by_the_statistics_of_the_channels(images):
    statistics = channel_statistics(images)
    np.testing.assert_allclose(statistics["mean"], (images / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(statistics["std"], (images / 255).std(axis=(0, 1, 2)))
    made = make_preprocessing({"normalize": statistics}, (8, 8, 3))
    normalized = made.training(tf.constant(images), 0).numpy()
    np.testing.assert_allclose(normalized.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert not made.augments


def test_a_channel_that_never_varies_is_not_divided_by_zero():
    assert channel_statistics(np.full((2, 3, 3, 1), 51, np.uint8)) == {"mean": [0.2], "std": [1.0]}


def test_images_in_floating_point_are_taken_as_they_are(images):
    values = tf.constant(images.astype(np.float32))
    np.testing.assert_array_equal(Preprocessing().training(values, 0), values)


def test_augment_as_a_word_is_the_usual_one():
    made = make_preprocessing({"augment": True, "seed": 5}, (8, 8, 3))
    assert (made.pad, made.flip, made.seed, made.mean) == (4, True, 5, None)
    assert not make_preprocessing({"augment": False}, (8, 8, 3)).augments
    assert made.views is make_preprocessing({"augment": {"views": None}}, (8, 8, 3)).views is None


@pytest.mark.parametrize(
    ("normalize", "augment", "message"),
    [
        ({"mean": [0.5] * 3}, None, "'std' must have 3 finite numbers. Received: None"),
        (True, None, "'normalize' must be a dict. Received: True"),
        ({"mean": [0.5], "std": [1, 1, 1]}, None, r"'mean' must have 3 .* Received: \[0.5\]"),
        ({"mean": [0, 0, 0], "std": [1, 0, 1]}, None, "'std' must be above 0"),
        (None, {"pad": -1}, "'pad' must be a whole number"),
        (None, 4, "'augment' must be True, False, or a dict. Received: 4"),
        (None, {"pad": 4, "views": 0}, "'views' must be a whole number above 0. Received: 0"),
        (None, {"flip": True, "views": 2.5}, "'views' must be a whole number above 0"),
        (None, {"flip": True, "views": True}, "'views' must be a whole number above 0"),
        (None, {"flip": True, "views": 1025}, "'views' must be .*, at most 1,024. Received: 1025"),
        (None, {"views": 4}, "'views' needs 'pad' or 'flip', which make them. Received: {'views'"),
        (None, {"pad": 0, "flip": False, "views": 4}, "'views' needs 'pad' or 'flip'"),
    ],
)
def test_values_that_do_not_fit_are_refused(normalize, augment, message):
    with pytest.raises(ValueError, match=message):
        make_preprocessing({"normalize": normalize, "augment": augment}, (8, 8, 3))
