import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import FusedBatchNormalization
from batch.networks.layers import takes_training

SHAPES = [(6, 5, 4, 3), (64, 3), (6, 7, 3)]


def pair(shape, dtype="float32", **options):
    """Our layer and Keras' with the same, not trivial, weights."""
    rng = np.random.default_rng(1)
    layers = [
        kind(momentum=0.9, dtype=dtype, **options)
        for kind in (FusedBatchNormalization, keras.layers.BatchNormalization)
    ]
    for layer in layers:
        layer.build(shape)
    weights = [rng.uniform(0.5, 2, weight.shape) for weight in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", [{}, {"center": False}, {"scale": False}])
def test_equals_keras_but_for_the_variance_estimate(shape, training, options):
    inputs = np.random.default_rng(0).normal(2, 3, shape).astype(np.float32)
    ours, theirs = pair(shape, **options)
    before = ours.get_weights()[-1]
    np.testing.assert_allclose(
        ours(inputs, training=training), theirs(inputs, training=training), rtol=1e-4, atol=1e-4
    )
    *mine, my_variance = ours.get_weights()
    *other, their_variance = theirs.get_weights()
    for value, expected in zip(mine, other):
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    values = np.prod(shape[:-1])
    biased = (their_variance - 0.9 * before) / 0.1
    unbiased = biased * values / (values - 1) if training else biased
    np.testing.assert_allclose(my_variance, 0.9 * before + 0.1 * unbiased, rtol=1e-4)


def test_gradients_equal_keras():
    inputs = tf.constant(np.random.default_rng(0).normal(2, 3, SHAPES[0]).astype(np.float32))
    gradients = []
    for layer in pair(SHAPES[0]):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(layer(inputs, training=True) ** 3)
        sources = [inputs, *(weight.value for weight in layer.trainable_variables)]
        gradients.append(tape.gradient(loss, sources))
    for value, expected in zip(*gradients):
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("training", [False, True])
def test_mixed_bfloat16_keeps_statistics_in_float32(training):
    inputs = np.random.default_rng(0).normal(2, 3, SHAPES[0]).astype(np.float32)
    ours, theirs = pair(SHAPES[0], dtype="mixed_bfloat16")
    outputs = ours(inputs, training=training)
    assert outputs.dtype == tf.bfloat16
    assert {weight.dtype for weight in ours.weights} == {"float32"}
    expected = tf.cast(theirs(inputs, training=training), tf.float32)
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, rtol=0.03, atol=0.06)


def test_not_trainable_means_inference():
    inputs = np.random.default_rng(0).normal(2, 3, SHAPES[0]).astype(np.float32)
    ours, _ = pair(SHAPES[0])
    before = ours.get_weights()
    ours.trainable = False
    np.testing.assert_array_equal(ours(inputs, training=True), ours(inputs, training=False))
    for value, expected in zip(ours.get_weights(), before):
        np.testing.assert_array_equal(value, expected)


def test_what_it_cannot_fuse_is_left_to_keras():
    inputs = np.random.default_rng(0).normal(2, 3, (6, 3, 5, 4)).astype(np.float32)
    ours, theirs = pair(inputs.shape, axis=1)
    outputs = ours(inputs, training=True)
    np.testing.assert_allclose(outputs, theirs(inputs, training=True), rtol=1e-6)
    np.testing.assert_array_equal(ours.get_weights()[-1], theirs.get_weights()[-1])


def test_config_makes_the_same_layer():
    layer = FusedBatchNormalization(momentum=0.7, epsilon=1e-5, center=False)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is FusedBatchNormalization
    assert again.get_config() == layer.get_config()


def test_layers_that_take_no_training_argument_are_blocks_too():
    assert takes_training(keras.layers.Dropout(0.5))
    assert not takes_training(keras.layers.Flatten())
