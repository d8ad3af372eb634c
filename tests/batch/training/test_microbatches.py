"""A batch in parts gives what it gives as a whole, but for batch normalization."""

import keras
import numpy as np
import pytest

from batch import FadeIn, StochasticDepth, TFModel
from batch.networks.layers import FusedBatchNormalization

INPUTS = {"inputs": {"shape": (6,)}, "labels": {"classes": 3}}
FREEZING = ("FreezeOut", {"iterations": 3, "learning_rate": 0.1, "t_0": 0.4, "degree": 1})
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(10, 6)).astype(np.float32)
LABELS = np.arange(10) % 3
WEIGHTS = np.linspace(0, 2, 10)


class Branched(keras.layers.Layer):
    """A residual block without normalization."""

    def build(self, shape):
        self.dense = keras.layers.Dense(shape[-1], kernel_initializer="glorot_normal")
        self.dense.build(shape)

    def branch(self, inputs, training=None):
        return self.dense(inputs)

    def shortcut(self, inputs, training=None):
        return inputs

    def activation(self, outputs):
        return keras.ops.tanh(outputs)

    def call(self, inputs, training=None):
        return self.activation(self.branch(inputs) + self.shortcut(inputs))


def plain():
    return [keras.layers.Dense(5, "tanh"), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)]


def penalized():
    added = {"kernel_regularizer": keras.regularizers.L2(0.1)}
    return [
        keras.layers.Dense(5, "tanh", **added),
        keras.layers.Dense(4, activity_regularizer=keras.regularizers.L1(0.1)),
        keras.layers.Dense(3),
    ]


def counting():
    dropped = StochasticDepth(Branched(name="dropped"), 0.5, seed=3)
    return [dropped, FadeIn(Branched(name="new"), iterations=3), keras.layers.Dense(3)]


def embedded():
    embedding = keras.Sequential([keras.layers.Embedding(4, 2), keras.layers.Flatten()])
    return [embedding, keras.layers.Dense(3)]


def train(layers, steps=3, rows=ROWS, weights=None, **config):
    model = TFModel({"inputs": INPUTS, "network": layers, **config})
    names = ["loss", "data_loss", "predictions"]
    fetched = [model.train(rows, LABELS, fetches=names, loss_weights=weights) for _ in range(steps)]
    return model, [np.concatenate([np.ravel(value) for value in step]) for step in fetched]


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        (plain, {"optimizer": ("SGD", {"momentum": 0.9, "learning_rate": 0.1})}),
        (plain, {"schedule": FREEZING, "weights": WEIGHTS, "weight_decay": 0.01}),
        (plain, {"optimizer": ("Adam", {"global_clipnorm": 0.01})}),
        (penalized, {"learning_rate": 0.1}),
        (counting, {"learning_rate": 0.1, "steps": 4}),
        (embedded, {"learning_rate": 0.1, "rows": np.abs(ROWS).astype(int) % 4}),
    ],
    ids=["momentum", "freezing, weights, decay", "clipped", "penalties", "counters", "embedding"],
)
def test_parts_give_what_the_whole_gives(layers, options):
    layers = layers()
    whole, expected = train(layers, **options)
    for size in (4, 16):
        parts, found = train(layers, microbatch_size=size, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        for value, of_whole in zip(parts.network.variables, whole.network.variables):
            np.testing.assert_allclose(value, of_whole, rtol=1e-4, atol=1e-6)


def test_normalization_is_by_part():
    norm = FusedBatchNormalization(momentum=0.5, name="norm")
    layers = [keras.Sequential([keras.layers.Reshape((1, 1, 6)), norm]), plain()[-1]]
    layers[1] = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    model, _ = train(layers, steps=1, microbatch_size=5)
    expected = np.zeros(6)
    for part in (ROWS[:5], ROWS[5:]):
        expected = 0.5 * expected + 0.5 * part.mean(0)
    moving = next(v for v in model.network.variables if "moving_mean" in v.path)
    np.testing.assert_allclose(moving, expected, rtol=1e-4, atol=1e-6)


def test_one_step_is_counted_for_all_parts():
    model, _ = train(counting(), microbatch_size=4)
    assert [int(layer.steps) for layer in model.network.layers[:2]] == [3, 3]


def test_what_parts_cannot_repeat_is_refused():
    sample = [StochasticDepth(Branched(), 0.5, mode="sample"), keras.layers.Dense(3)]
    with pytest.raises(ValueError, match=r"mode of stochastic depth must be batch: .* sample"):
        train(sample, microbatch_size=4)
    train(sample, steps=0)
    for size in (-1, 2.5, "half"):
        with pytest.raises(ValueError, match="microbatch_size must be a whole number above 0"):
            train(plain(), microbatch_size=size)
    for size in (None, False):
        train(plain(), steps=0, microbatch_size=size)
