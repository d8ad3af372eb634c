import concurrent.futures

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import FusedBatchNormalization, TFModel
from batch.networks.batch_statistics import batch_statistics, normalizations

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
KINDS = [keras.layers.BatchNormalization, FusedBatchNormalization]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "axis"), [((16, 5, 5, 4), -1), ((16, 4), -1), ((16, 4, 6), 1)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_inside_the_batch_counts_and_no_statistic_moves(kind, shape, axis, dtype):
    layer = kind(axis=axis, dtype=dtype)
    layer.build(shape)
    inputs = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    before = layer(inputs, training=False)
    statistics = [layer.moving_mean.numpy(), layer.moving_variance.numpy()]
    with batch_statistics([layer]):
        outputs = [layer(inputs, training=training) for training in (False, True)]
    axes = tuple(place for place in range(len(shape)) if place != axis % len(shape))
    for output in outputs:
        assert output.dtype == before.dtype
        wide = np.asarray(tf.cast(output, tf.float32))
        np.testing.assert_allclose(wide.mean(axes), 0, atol=0.02)
        np.testing.assert_allclose(wide.std(axes), 1, atol=0.02)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), statistics[0])
    np.testing.assert_array_equal(layer.moving_variance.numpy(), statistics[1])
    after = layer(inputs, training=False)
    np.testing.assert_array_equal(tf.cast(after, tf.float32), tf.cast(before, tf.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_every_thread_has_a_flag_of_its_own(kind):
    layer = kind()
    inputs = np.random.default_rng(0).normal(3, 2, (16, 4)).astype(np.float32)
    by_moving = layer(inputs, training=False).numpy()

    def infer():
        return layer(inputs, training=False).numpy()

    with concurrent.futures.ThreadPoolExecutor(1) as other, batch_statistics([layer]):
        np.testing.assert_array_equal(other.submit(infer).result(), by_moving)
        np.testing.assert_allclose(infer().mean(0), 0, atol=0.02)  # by those of the batch
    np.testing.assert_array_equal(infer(), by_moving)


def network(kind):
    return [
        keras.layers.Conv2D(4, 3, name="convolution"),
        kind(momentum=0.9, name="normalization"),
        keras.layers.Dropout(0.9, seed=0, name="dropout"),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(3, name="classifier"),
    ]


def one_block(kind):
    """The same, the first three layers one block."""
    keras.utils.set_random_seed(0)
    *first, pool, dense = network(kind)
    return [keras.Sequential([keras.Input((8, 8, 1)), *first], name="block"), pool, dense]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["inference", "batch"])
def test_frozen_blocks_normalize_as_they_are_told_and_drop_nothing(kind, mode, examples):
    images, labels = examples
    config = {"inputs": INPUTS, "network": one_block(kind), "frozen_batch_norm": mode}
    model = TFModel({**config, "freeze": ["block"], "learning_rate": 0.1})
    block, _, dense = model.network.layers
    block.layers[1].moving_mean.assign([1.0, -1.0, 0.5, 0.0])
    features = block.layers[0](images.astype(np.float32) / 255)
    norm = block.layers[1]
    if mode == "batch":
        mean, variance = (statistic.numpy() for statistic in tf.nn.moments(features, (0, 1, 2)))
    else:
        mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    normalized = (features - mean) / np.sqrt(variance + norm.epsilon) * norm.gamma + norm.beta
    logits = dense(tf.reduce_mean(normalized, (1, 2)))
    before = [weight.numpy() for weight in block.weights]
    fetched, loss = model.train(images, labels, fetches=["predictions", "loss"])
    np.testing.assert_allclose(fetched, logits, rtol=1e-4, atol=1e-4)
    assert loss == pytest.approx(
        float(
            np.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
        ),
        rel=1e-4,
    )
    model.train(images, labels)
    for weight, value in zip(block.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)
    # What it predicts is by the moving statistics in either mode.
    inference = keras.Sequential([keras.Input((8, 8, 1)), *model.network.layers])
    expected = inference(images.astype(np.float32) / 255, training=False)
    np.testing.assert_allclose(model.predict(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["inference", "batch"])
def test_a_normalization_frozen_within_a_block_that_learns(mode, examples, blocks):
    layers = blocks()
    layers[0].name = "stem"
    config = {"inputs": INPUTS, "network": layers, "learning_rate": 0.1}
    model = TFModel({**config, "freeze": ["stem/normalization"], "frozen_batch_norm": mode})
    stem = model.network.layers[0]
    stem.normalization.moving_mean.assign([0.3, -0.2, 0.1, 0.0])
    before = [weight.numpy() for weight in stem.normalization.weights]
    kernel = stem.convolution.kernel.numpy()
    twin = TFModel(config)
    twin.network.set_weights(model.network.get_weights())
    losses = [trained.train(*examples) for trained in (model, twin)]
    # Nothing has moved yet: the loss tells by which statistics it was normalized.
    assert (losses[0] == pytest.approx(losses[1], rel=1e-6)) == (mode == "batch")
    for weight, value in zip(stem.normalization.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert np.any(stem.convolution.kernel.numpy() != kernel)


def test_a_schedules_frozen_blocks_follow_the_mode_too(examples, blocks):
    config = {"inputs": INPUTS, "network": blocks(), "schedule": lambda iteration: RATES[iteration]}
    models = [TFModel({**config, "frozen_batch_norm": mode}) for mode in ("batch", "inference")]
    losses = np.array([[model.train(*examples) for _ in range(2)] for model in models])
    assert losses[0, 0] == losses[1, 0]  # nothing frozen yet
    assert losses[0, 1] != losses[1, 1]
    assert [model.frozen for model in models] == [1, 1]


RATES = [np.array([0.01, 0.01, 0.01]), np.array([0, 0.01, 0.01])]


def test_blocks_learn_in_inference_mode(examples):
    images, labels = examples
    layers = one_block(FusedBatchNormalization)
    model = TFModel({"inputs": INPUTS, "network": layers, "inference_mode": ["block"]})
    norm = normalizations(model.network.layers[0])[0]
    norm.moving_mean.assign([1.0, -1.0, 0.5, 0.0])
    statistics = [norm.moving_mean.numpy(), norm.moving_variance.numpy()]
    weights = [norm.gamma.numpy(), model.network.layers[0].layers[0].kernel.numpy()]
    expected = model.predict(images, labels, fetches="loss")
    assert model.train(images, labels) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), statistics[0])
    np.testing.assert_array_equal(norm.moving_variance.numpy(), statistics[1])
    assert np.any(norm.gamma.numpy() != weights[0])
    assert np.any(model.network.layers[0].layers[0].kernel.numpy() != weights[1])


def test_unknown_modes_are_refused(blocks):
    config = {"inputs": INPUTS, "network": blocks()}
    with pytest.raises(ValueError, match="frozen_batch_norm must be inference or batch"):
        TFModel({**config, "frozen_batch_norm": "moving"})
    with pytest.raises(ValueError, match="inference_mode: 'none' matches nothing"):
        TFModel({**config, "inference_mode": ["none"]})
