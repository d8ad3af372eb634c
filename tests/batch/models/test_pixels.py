import keras
import numpy as np
import pytest

from batch import ResNet, TFModel

layers = keras.layers
RNG = np.random.default_rng(0)
BITS = RNG.random((20, 8, 9, 1)) < 0.4
BYTES = RNG.integers(0, 256, BITS.shape).astype(np.uint8)
BYTES[::2, 0, 0], BYTES[1::2, 0, 0] = 0, 255
LABELS = np.arange(20) % 3


def model(*leading, shape=(8, 9, 1), **config):
    classifier = [layers.Flatten(), layers.Dense(3)]
    classifier = keras.Sequential(classifier, name="out")
    network = [*leading, layers.Conv2D(2, 3, kernel_initializer="ones"), classifier]
    inputs = {"images": {"shape": shape}, "labels": {"classes": 3}}
    return TFModel({"inputs": inputs, "network": network, **config})


@pytest.fixture(scope="module")
def plain():
    """A network that scales nothing."""
    return model()


@pytest.fixture(scope="module")
def rescaling():
    """A network that scales pixels from 0 to 255."""
    return model(layers.Rescaling(1 / 255, name="scaled"))


def normalization(images):
    return layers.Normalization(mean=images.mean(), variance=images.var(), name="adapted")


def test_0_and_1_are_the_same_whatever_their_type(plain):
    expected = plain.predict(BITS.astype(np.uint8) * np.uint8(255))
    for dtype in (bool, np.int64, np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(plain.predict(BITS.astype(dtype)), expected)
    assert np.ptp(expected) > 0


def test_pixels_are_the_same_divided_or_not(plain, rescaling):
    rescaling.network.set_weights(plain.network.get_weights())
    expected = plain.predict(BYTES)
    shares = BYTES / np.float32(255)
    np.testing.assert_allclose(plain.predict(shares), expected, rtol=1e-5, atol=1e-5)
    for dtype in (np.float32, np.int64, np.uint16):
        got = rescaling.predict(BYTES.astype(dtype))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


UNSCALED = "only uint8 is divided by 255, and nothing scales these"
ONCE = "images must be scaled once: "


@pytest.mark.parametrize("call", ["train", "predict"])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (BITS.astype(np.uint8), r"only 0 and 1: give images \* np\.uint8\(255\), or images\.astyp"),
        (BYTES.astype(np.float32), UNSCALED + r".* Give images / np\.float32\(255\), or begin"),
        (BYTES * 0.9, UNSCALED + ".* Received: float64 from 0 to 229.5"),
        (BYTES * 1.04 - 5, UNSCALED),  # as bicubic resizing gives
        (BYTES.astype(np.float16), UNSCALED),
        (BYTES.astype(np.int64), UNSCALED + r".* Give images\.astype\('uint8'\), or begin"),
        (BYTES.astype(np.int32), UNSCALED),
        (BYTES.astype(np.uint16)[..., 0], UNSCALED),
        (BYTES.astype(np.uint16) * 257, UNSCALED + r".* Give images / np\.float32\(65535\)"),
    ],
)
def test_images_on_a_scale_that_nothing_makes_right_are_refused(plain, images, message, call):
    with pytest.raises(ValueError, match=message):
        getattr(plain, call)(images, LABELS)
    assert plain.iteration == 0


@pytest.mark.parametrize("call", ["train", "predict"])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (BYTES, r"uint8 images .* scaled scales pixels .* Give images\.astype\('float32'\), or"),
        (BYTES[:1], ".* or leave out scaled. Received: uint8 from 0 to 255"),
        (BITS, r"these images are from 0 to 1, .* Give images \* np\.float32\(255\)"),
        (BYTES / np.float32(255), r"these images are from 0 to 1, .* Give images \* np\.float"),
        (BYTES / 127.5 - 1, "these images are normalized, .* Received: float64 from -1 to 1"),
    ],
)
def test_images_that_would_be_scaled_twice_are_refused(rescaling, images, message, call):
    with pytest.raises(ValueError, match=ONCE + message):
        getattr(rescaling, call)(images, LABELS[: len(images)])
    assert rescaling.iteration == 0


@pytest.mark.parametrize(
    ("make", "images", "message"),
    [
        (lambda: model(normalization(BYTES)), BYTES, ONCE + "uint8 .* adapted scales"),
        (lambda: model(normalization(BYTES / 255)), BYTES.astype(np.float32), UNSCALED),
        (lambda: model(normalize={"mean": [120], "std": [70]}), BYTES, ONCE + ".* 'normalize'"),
        (lambda: model(normalize={"mean": [0.5], "std": [0.3]}), BYTES * 1.0, UNSCALED),
        (lambda: model(layers.Rescaling(1 / 255), layers.BatchNormalization()), BYTES, ONCE),
        (lambda: model(layers.Rescaling(1 / 255)), BYTES.astype(np.uint16) * 257, UNSCALED),
    ],
)
def test_every_way_of_scaling_counts(make, images, message):
    with pytest.raises(ValueError, match=message):
        make().train(images, LABELS)


@pytest.mark.parametrize(
    ("make", "images"),
    [
        (lambda: model(normalization(BYTES)), BYTES.astype(np.float32)),
        (lambda: model(normalization(BYTES / 255)), BYTES),
        (lambda: model(normalize={"mean": [120], "std": [70]}), BYTES.astype(np.float32)),
        (lambda: model(layers.BatchNormalization()), BYTES.astype(np.float32)),
        (model, (BYTES - 120.0) / 70),
        (model, BYTES % 17.0),  # no scale that is known
        (model, BYTES - np.float32(123)),  # as keras.applications.resnet.preprocess_input does
        (model, BYTES + 250.0),  # degrees
    ],
)
def test_what_may_be_right_is_taken_as_it_is(make, images):
    assert np.isfinite(make().predict(images)).all()


def test_a_few_images_may_be_dark(plain, rescaling):
    dark = np.minimum(BYTES[:4], 1)
    assert len(plain.predict(dark)) == 4
    assert len(plain.predict(np.zeros_like(BYTES))) == 20
    assert len(rescaling.predict(dark.astype(np.float32))) == 4
    assert len(rescaling.predict(np.zeros(BYTES.shape, np.float32))) == 20


def test_a_network_that_takes_any_scale_keeps_to_that_it_was_trained_on():
    any_scale, wide = model(layers.BatchNormalization()), BYTES.astype(np.float32)
    any_scale.train(wide, LABELS)
    assert len(any_scale.predict(wide)) == 20
    for call in (any_scale.predict, any_scale.train):
        with pytest.raises(ValueError, match=r"0 to 255: give images\.astype\('float32'\).* uint8"):
            call(BYTES, LABELS)
    with pytest.raises(ValueError, match=r"0 to 255: give images \* np\.float32\(255\)"):
        any_scale.predict(BYTES / 255)
    any_scale.reset()
    any_scale.train(BYTES, LABELS)
    with pytest.raises(ValueError, match=r"0 to 1: give images / np\.float32\(255\)"):
        any_scale.predict(wide)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (4, 12, 9)])
def test_channels_first_are_refused_when_the_model_is_made(shape):
    inputs = {"images": {"shape": shape}, "labels": {"classes": 3}}
    channels, height, width = shape
    message = rf"\(N, C, H, W\), {channels} channels of {height}×{width} .* np\.moveaxis\(images, 1"
    with pytest.raises(ValueError, match=message):
        ResNet({"inputs": inputs})


@pytest.mark.parametrize("shape", [(32, 32, 3), (3, 3, 32), (1, 128, 9), (8, 8, 8), (1, 1, 64)])
def test_other_shapes_are_taken_as_they_are(shape):
    inputs = {"images": {"shape": shape}, "labels": {"classes": 3}}
    network = [layers.Conv2D(2, 1), keras.Sequential([layers.Flatten(), layers.Dense(3)])]
    assert TFModel({"inputs": inputs, "network": network}).inputs.shape == shape


def test_channels_first_where_they_should_be_last_are_named(plain):
    with pytest.raises(
        ValueError, match=r"Received: \(1, 8, 9\): give np\.moveaxis\(images, 1, -1\)"
    ):
        plain.predict(np.moveaxis(BYTES, -1, 1))


def test_a_network_may_put_the_channels_last_itself():
    permuted = model(layers.Permute((2, 3, 1)), shape=(1, 8, 9))
    assert permuted.predict(np.moveaxis(BYTES, -1, 1)).shape == (20, 3)
