"""What layers add to the loss, and what they make of their weights, beside stock Keras."""

import keras
import numpy as np
import pytest

from batch import FadeIn, StochasticDepth, TFModel
from batch.models import inference

INPUTS = {"images": {"shape": (6,)}, "labels": {"classes": 3}}
X = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 32)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@keras.saving.register_keras_serializable(package="tests")
class Adding(keras.layers.Dense):
    """Adds to the loss in its call: scalars, a vector, in training or in inference alone."""

    def __init__(self, units, when=(True, False), **kwargs):
        super().__init__(units, **kwargs)
        self.when = when

    def call(self, inputs, training=None):
        outputs = super().call(inputs)
        if bool(training) in self.when:
            self.add_loss(0.1 * keras.ops.mean(keras.ops.abs(outputs)))
            self.add_loss([0.02 * keras.ops.mean(outputs**2, axis=0), self.kernel[0, 0] ** 2])
        return outputs

    def get_config(self):
        return {**super().get_config(), "when": self.when}


@keras.saving.register_keras_serializable(package="tests")
class Residual(keras.layers.Layer):
    """A residual block whose branch adds to the loss by its outputs."""

    def build(self, shape):
        self.dense = dense(shape[-1], "inner", activity_regularizer=keras.regularizers.L2(0.5))
        self.dense.build(shape)

    def branch(self, inputs, training=None):
        return self.dense(inputs)

    def shortcut(self, inputs, training=None):
        return inputs

    def activation(self, outputs):
        return keras.ops.relu(outputs)

    def call(self, inputs, training=None):
        return self.activation(self.branch(inputs) + self.shortcut(inputs))


def dense(units=8, name="b1", kind=keras.layers.Dense, **kwargs):
    initializer = keras.initializers.HeNormal(seed=units + len(name))
    return kind(units, activation="relu", name=name, kernel_initializer=initializer, **kwargs)


def functional():
    inputs = keras.Input((8,))
    inner = dense(4, activity_regularizer="l1", kernel_regularizer="l2")
    outputs = keras.layers.Concatenate()([inner(inputs), inner(inputs)])  # counts twice, and once
    return keras.Model(inputs, keras.layers.ActivityRegularization(l2=0.1)(outputs), name="b1")


ADDING = {
    "kernel": lambda: dense(kernel_regularizer=keras.regularizers.L2(0.3)),
    "bias": lambda: dense(bias_regularizer=keras.regularizers.L1L2(0.1, 0.1)),
    "orthogonal": lambda: dense(kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1)),
    "outputs": lambda: dense(activity_regularizer=keras.regularizers.L1(0.3)),
    "scale": lambda: keras.layers.BatchNormalization(name="b1", gamma_regularizer="l1"),
    "add_loss": lambda: dense(kind=Adding),
    "add_loss in training": lambda: dense(kind=Adding, when=(True,)),
    "nested": lambda: keras.Sequential([dense(kind=Adding), dense(name="c")], name="b1"),
    "functional": functional,
    "dropped at random": lambda: StochasticDepth(Residual(name="b1"), 0.5, seed=3),
    "fading in": lambda: FadeIn(dense(activity_regularizer="l2"), 5),
    "lora": lambda: dense(lora_rank=2, kernel_regularizer="l2"),
}
CHANGING = {  # weights: constraints and quantization
    **{
        name: lambda name=name: dense(kernel_constraint=name, bias_constraint="non_neg")
        for name in ("max_norm", "non_neg", "unit_norm")
    },
    "min_max": lambda: dense(kernel_constraint=keras.constraints.MinMaxNorm(0.1, 0.5)),
    **{
        policy: lambda policy=policy: dense(dtype=f"{policy}_from_float32")
        for policy in ("int8", "int4", "float8")
    },
}


def pair(kind, **config):
    """A stock Keras model, and ours with the same weights."""
    middle = {**ADDING, **CHANGING}[kind]()
    layers = [dense(name="b0", kernel_regularizer="l2"), middle, dense(3, "out")]
    stock = keras.Sequential([keras.Input((6,)), *layers])
    eagerly = kind != "float8"  # which raises in Keras then
    stock.compile(keras.optimizers.SGD(0.1), LOSS, run_eagerly=eagerly)
    return stock, TFModel({"inputs": INPUTS, "network": stock, "learning_rate": 0.1, **config})


def same(stock, model):
    for ours, theirs in zip(model.network.weights, stock.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of what Keras dropped
@pytest.mark.parametrize("kind", [*ADDING, *CHANGING])
def test_training_and_evaluation_are_as_in_keras(kind):
    stock, model = pair(kind)
    for step in range(5):
        rows = np.arange(step, 20 + step)
        expected = stock.train_on_batch(X[rows], Y[rows])
        loss, data_loss = model.train(X, Y, rows=rows, fetches=["loss", "data_loss"])
        assert loss == pytest.approx(expected, rel=1e-5)
        assert data_loss < loss
    same(stock, model)
    loss, data_loss = model.predict(X, Y, fetches=["loss", "data_loss"])
    assert loss == pytest.approx(stock.evaluate(X, Y, verbose=0), rel=1e-5)
    assert data_loss == pytest.approx(float(LOSS(Y, model.predict(X))), rel=1e-5)
    assert all(map(np.isfinite, model.network.losses))  # no tensors of a graph


def test_many_examples_are_evaluated_in_batches(monkeypatch):
    monkeypatch.setattr(inference, "CHUNK", 10)
    stock, model = pair("add_loss")
    expected = stock.evaluate(X, Y, batch_size=10, verbose=0)
    assert model.predict(X, Y, fetches="loss") == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["kernel", "outputs", "add_loss"])
@pytest.mark.parametrize("frozen", ["b0", "b1"])  # in front; in the middle
def test_what_frozen_blocks_add_stays_in_the_loss_without_a_gradient(kind, frozen):
    stock, model = pair(kind, freeze=[frozen])
    layer = stock.get_layer(frozen)
    layer.trainable = False  # Keras leaves its weights' penalty out
    left_out = sum(weight.regularizer(weight) for weight in layer.weights if weight.regularizer)
    before = layer.get_weights()
    for _ in range(3):
        expected = stock.train_on_batch(X, Y) + float(left_out)
        assert model.train(X, Y) == pytest.approx(expected, rel=1e-5)
    same(stock, model)
    ours = model.network.get_layer(frozen).get_weights()
    assert all(map(np.array_equal, ours, before))
    assert model.predict(X, Y, fetches="loss") == pytest.approx(
        stock.evaluate(X, Y, verbose=0) + float(left_out), rel=1e-5
    )
