import keras
import numpy as np
import pytest
import tensorflow as tf

from batch.networks.blocks import ConvolutionBlock
from batch.networks.entrance import ANY, entrance
from batch.networks.keras_models import as_blocks
from batch.training.preprocessing import Preprocessing

layers = keras.layers
SHAPE = (8, 8, 3)
ADAPTED = np.random.default_rng(0).integers(0, 256, (20, *SHAPE)).astype(np.float32)


def normalization(images):
    layer = layers.Normalization()
    layer.adapt(images)
    return layer


class Halved(layers.Layer):
    def call(self, inputs):
        return inputs / 2


class Own(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    def call(self, inputs):
        return inputs @ self.kernel


def functional(*operations):
    inputs = outputs = keras.Input(SHAPE)
    for operation in operations:
        outputs = operation(outputs)
    return keras.Model(inputs, layers.Conv2D(2, 3)(outputs))


def found(*blocks, prepare=tf.identity, shape=SHAPE):
    return entrance(keras.Sequential([keras.Input(shape), *blocks]), prepare)


@pytest.mark.parametrize(
    ("blocks", "gain"),
    [
        (lambda: [layers.Conv2D(2, 3)], 1),
        (lambda: [ConvolutionBlock(2)], 1),
        (lambda: [layers.Rescaling(1 / 255), layers.Conv2D(2, 3)], 1 / 255),
        (lambda: [layers.Rescaling(1 / 127.5, -1), layers.Conv2D(2, 3)], 1 / 127.5),
        (lambda: [layers.Rescaling(255), layers.Rescaling(1 / 255), layers.Conv2D(2, 3)], 1),
        (lambda: [normalization(ADAPTED), layers.Conv2D(2, 3)], 1 / 74),
        (lambda: [normalization(ADAPTED / 255), layers.Conv2D(2, 3)], 255 / 74),
        (lambda: [layers.ZeroPadding2D(), layers.RandomFlip(), layers.Conv2D(2, 3)], 1),
        (lambda: [layers.AveragePooling2D(2), layers.Resizing(3, 3), layers.Conv2D(2, 3)], 1),
        (lambda: [layers.Flatten(), layers.Dense(4)], 1),
        (lambda: [Halved(), layers.Lambda(lambda x: x / 5), layers.Conv2D(2, 3)], 0.1),
        (lambda: [functional(lambda x: x / 255.0, lambda x: keras.ops.subtract(x, 0.5))], 1 / 255),
        (lambda: [keras.Sequential([functional(layers.Rescaling(0.01))])], 0.01),
        (lambda: [layers.Rescaling(0.01, dtype="mixed_bfloat16"), layers.Conv2D(2, 3)], 0.01),
    ],
)
def test_the_gain_of_what_comes_before_the_first_weights(blocks, gain):
    got = found(*blocks())
    assert got.gain == pytest.approx(gain, rel=0.02)
    assert not got.any_scale


def test_what_scales_is_named():
    rescaling, scaled = layers.Rescaling(0.1, name="tenth"), layers.Rescaling(0.1, name="again")
    padding = layers.ZeroPadding2D()
    assert found(rescaling, padding, scaled, layers.Conv2D(2, 3)).by == ("tenth", "again")
    prepare = Preprocessing(mean=(120.0,) * 3, std=(60.0,) * 3).inference
    by_config = found(layers.Conv2D(2, 3), prepare=prepare)
    assert (by_config.gain, by_config.by) == (pytest.approx(1 / 60), ("'normalize'",))


@pytest.mark.parametrize("application", ["EfficientNetB0", "MobileNetV3Small", "ResNet50"])
def test_bases_of_keras(application):
    made = getattr(keras.applications, application)(
        weights=None, input_shape=(32, 32, 3), classes=2, classifier_activation=None
    )
    cut = {"EfficientNetB0": "stem_activation", "MobileNetV3Small": "activation"}
    cut = cut.get(application, "pool1_pool")
    names = [layer.name for layer in made.layers]
    cut = next(name for name in names if name.startswith(cut))
    got = found(*as_blocks(made, [cut]), shape=(32, 32, 3))
    gain = {"EfficientNetB0": 1 / 255, "MobileNetV3Small": 1 / 127.5}.get(application, 1)
    assert got.gain == pytest.approx(gain)
    assert not got.any_scale


@pytest.mark.parametrize(
    ("blocks", "gain"),
    [
        (lambda: [layers.BatchNormalization(), layers.Conv2D(2, 3)], 1),
        (lambda: [layers.Rescaling(0.01), layers.LayerNormalization()], 0.01),
        (lambda: [layers.UnitNormalization(), layers.Conv2D(2, 3)], 1),
        (lambda: [layers.Lambda(tf.image.per_image_standardization), layers.Conv2D(2, 3)], 1),
        (lambda: [layers.Reshape((192,)), layers.Embedding(256, 2), layers.Flatten()], 1),
        (lambda: [layers.Reshape((192,)), layers.CategoryEncoding(9, "count")], 1),
        (lambda: [Own(), layers.Conv2D(2, 3)], 1),
        (lambda: [functional(lambda x: layers.Add()([x, Halved()(x)]))], 1),
    ],
)
def test_images_of_any_scale_may_enter_what_normalizes_them_or_is_not_known(blocks, gain):
    got = found(*blocks())
    assert got.gain == pytest.approx(gain)
    assert got.any_scale


def test_rows_have_no_scale():
    assert found(layers.Dense(3), shape=(8,)) == ANY


@pytest.mark.parametrize(
    ("blocks", "last"),
    [
        (lambda: [layers.Conv2D(2, 3)], True),
        (lambda: [layers.Rescaling(0.01), layers.MaxPooling2D(), layers.Conv2D(2, 3)], True),
        (lambda: [layers.Permute((3, 2, 1)), layers.Resizing(8, 8), layers.Conv2D(2, 3)], False),
        (lambda: [layers.Reshape((16, 12)), layers.LSTM(2)], False),
        (lambda: [layers.Flatten(), layers.Dense(2)], False),
        (lambda: [Own()], False),
    ],
)
def test_whether_the_last_axis_is_that_of_the_channels(blocks, last):
    assert found(*blocks(), shape=(8, 8, 3)).channels_last is last
