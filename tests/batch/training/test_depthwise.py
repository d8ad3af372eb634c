"""Gradients of depthwise convolutions that are chosen by shape."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel
from batch.flops import block_costs
from batch.networks.efficientnet import InvertedResidual
from batch.networks.stochastic_depth import StochasticDepth
from batch.training.depthwise import differentiate_by_shape
from batch.training.export import StaticGraph
from research.benchmarks.graphs import executed_operations

DepthwiseConv2D = keras.layers.DepthwiseConv2D
FILTER = "DepthwiseConv2dNativeBackpropFilter"


class InAFunction(DepthwiseConv2D):
    """A layer with a graph of its own."""

    @tf.function(autograph=False)
    def call(self, inputs):
        return super().call(inputs)


KINDS = {  # a layer, the shape of an image, and gradients of kernels by TensorFlow's own routine
    "5×5": (DepthwiseConv2D(5, padding="same"), (6, 6, 24), 1),
    "valid": (DepthwiseConv2D(5), (7, 6, 24), 1),
    "stride 2": (DepthwiseConv2D(5, 2, padding="same"), (6, 7, 24), 1),
    "stride 2, valid": (DepthwiseConv2D(5, 2), (9, 8, 32), 1),
    "7×7": (DepthwiseConv2D(7, padding="same"), (5, 5, 24), 1),
    "wide": (DepthwiseConv2D((2, 4), padding="same"), (5, 5, 24), 1),
    "high": (DepthwiseConv2D((5, 3), padding="same"), (6, 6, 24), 0),
    "3×3": (DepthwiseConv2D(3, padding="same"), (6, 6, 24), 0),
    "3×3, stride 2": (DepthwiseConv2D(3, 2, padding="same"), (6, 6, 24), 0),
    "higher than its image": (DepthwiseConv2D(3, padding="same"), (2, 4, 24), 1),
    "wider than its image": (DepthwiseConv2D(3, padding="same"), (4, 2, 24), 0),
    "high for its stride": (DepthwiseConv2D(3, 2, padding="same"), (3, 3, 24), 1),
    "dilation": (DepthwiseConv2D(5, dilation_rate=2, padding="same"), (6, 6, 24), 1),
    "two outputs a channel": (DepthwiseConv2D(5, depth_multiplier=2), (6, 6, 24), 0),
    "few channels": (DepthwiseConv2D(5, padding="same"), (6, 6, 16), 0),
    "odd channels": (DepthwiseConv2D(5, padding="same"), (6, 6, 36), 0),
    "any size": (DepthwiseConv2D(5, padding="same"), (None, None, 24), 0),
    "float64": (DepthwiseConv2D(5, dtype="float64"), (6, 6, 24), 0),
    "channels first": (DepthwiseConv2D(5, data_format="channels_first"), (24, 6, 6), 1),
    "separable": (keras.layers.SeparableConv2D(3, 5, padding="same"), (6, 6, 24), 1),
    "in a function": (InAFunction(5, padding="same"), (6, 6, 24), 0),
    "1D": (keras.layers.DepthwiseConv1D(5, padding="same"), (9, 24), 1),
}


def differentiated(layer, shape, by_shape):
    """Gradients of a layer by its input and its weights, and how many are in the other form."""
    if not layer.built:
        layer.build((None, *shape))
    weights = [weight.value for weight in layer.trainable_variables]
    images = np.random.default_rng(0).normal(size=[5, *(side or 6 for side in shape)])
    images = tf.constant(images, layer.compute_dtype)

    def forward(images):
        outputs = layer(images)
        if by_shape:
            differentiate_by_shape(tf.compat.v1.get_default_graph())
        return outputs

    given = tf.TensorSpec([None, *shape], images.dtype)
    forward = tf.function(forward, input_signature=[given], autograph=False)

    def gradients(images):
        with tf.GradientTape() as tape:
            tape.watch([images, weights])
            outputs = tf.cast(forward(images), tf.float32)
            loss = tf.reduce_sum(tf.sin(outputs))
        return tape.gradient(loss, [images, *weights])

    made = tf.function(gradients, autograph=False).get_concrete_function(images)
    return made(images), of_own_routine(made.graph)


def of_own_routine(graph):
    """How many gradients of kernels in a graph come from TensorFlow's own routine."""
    functions = graph.as_graph_def().library.function
    nodes = {(node.name, str(node.attr)): node for made in functions for node in made.node_def}
    return sum(
        node.attr["padding"].s == b"EXPLICIT" for node in nodes.values() if node.op == FILTER
    )


def far(ours, theirs):
    """How far a gradient is from another, as a share of its norm."""
    ours, theirs = tf.cast(ours, tf.float64), tf.cast(theirs, tf.float64)
    return float(tf.norm(ours - theirs) / tf.norm(theirs))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_tensorflows(kind):
    layer, shape, by_own_routine = KINDS[kind]
    expected, _ = differentiated(layer, shape, by_shape=False)
    gradients, count = differentiated(layer, shape, by_shape=True)
    assert count == by_own_routine
    for ours, theirs in zip(gradients, expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize(("size", "strides"), [(5, 1), (5, 2), (3, 2)])
def test_in_bfloat16_they_are_those_of_float32_but_for_rounding(size, strides):
    def layer(dtype):
        start = keras.initializers.HeNormal(seed=0)
        settings = {"depthwise_initializer": start, "padding": "same", "use_bias": False}
        return DepthwiseConv2D(size, strides, **settings, dtype=dtype)

    shape = (6, 6, 24)
    exact, _ = differentiated(layer("float32"), shape, by_shape=False)
    gradients, count = differentiated(layer("mixed_bfloat16"), shape, by_shape=True)
    assert count == (size == 5)
    assert [gradient.dtype for gradient in gradients] == [tf.bfloat16, tf.float32]
    errors = [far(ours, theirs) for ours, theirs in zip(gradients, exact)]
    assert max(errors) < 0.01


def layers(survival=None):
    """A network with depthwise kernels of 5×5, one of them in a branch that may be dropped."""
    residual = InvertedResidual(8, 5, expansion=3, seed=1, name="residual")
    if survival is not None:
        residual = StochasticDepth(residual, survival, seed=3)
    start = {"depthwise_initializer": "he_normal", "pointwise_initializer": "he_normal"}
    return [
        keras.layers.Conv2D(24, 1, activation="relu", name="stem"),
        keras.layers.SeparableConv2D(8, 5, 2, padding="same", name="block", **start),
        residual,
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)], name="out"),
    ]


@pytest.fixture
def make():
    """A function that makes a model of them."""

    def make_model(form="by_shape", survival=None, **config):
        inputs = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
        rate = {} if "schedule" in config else {"learning_rate": 0.02}
        config = {"inputs": inputs, "cache": "off", **rate, **config}
        return TFModel({"network": layers(survival), "depthwise_gradient": form, **config})

    return make_model


FREEZING = {"iterations": 6, "learning_rate": 0.05, "t_0": 0.3, "degree": 1, "scaled": False}
TRAINED = {
    "plain": {},
    "parts of a batch": {"microbatch_size": 7},
    "branches dropped": {"survival": 0.5},
}


@pytest.mark.parametrize("kind", TRAINED)
def test_a_training_is_the_same_but_for_rounding(make, examples, kind):
    ours, theirs = (make(form, **TRAINED[kind]) for form in ("by_shape", "tensorflow"))
    losses = [[model.train(*examples) for _ in range(5)] for model in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for mine, usual in zip(ours.network.weights, theirs.network.weights, strict=True):
        np.testing.assert_allclose(mine, usual, rtol=1e-3, atol=1e-4)
    compiled = [next(iter(model.trainer.steps._compiled.values())) for model in (ours, theirs)]
    assert [of_own_routine(step.graph) for step in compiled] == [2, 0]
    assert block_costs(ours.network) == block_costs(theirs.network)


def test_frozen_blocks_have_none(make, examples):
    model = make(freeze=["stem", "block"])
    operations = executed_operations(lambda: model.train(*examples))
    assert operations[FILTER] == 1
    model = make(freeze=["stem", "block", "residual"])
    assert executed_operations(lambda: model.train(*examples))[FILTER] == 0


def test_conditionals_of_a_static_graph_have_them(make, examples, tmp_path):
    images, labels = examples[0][:20], examples[1][:20].astype(np.int64)
    model = make(schedule=("FreezeOut", FREEZING))
    graph = StaticGraph(model.trainer, 6)
    of_graph = of_own_routine(graph.train.get_concrete_function().graph)
    assert of_graph == 2
    graph.save(tmp_path / "graph")
    loaded = tf.saved_model.load(tmp_path / "graph")
    losses = [float(loaded.train(images, labels, step)) for step in range(4)]
    other = make("tensorflow", schedule=("FreezeOut", FREEZING))
    np.testing.assert_allclose(losses, [other.train(images, labels) for _ in range(4)], rtol=1e-3)


def test_a_saved_model_goes_on_with_them(make, examples, tmp_path):
    model = make()
    model.train(*examples)
    model.save(tmp_path / "model")
    loaded = TFModel(tmp_path / "model")
    assert loaded.config["depthwise_gradient"] == "by_shape"
    assert loaded.train(*examples) == model.train(*examples)
    assert TFModel(make("tensorflow").config).train(*examples) > 0


def test_another_form_is_refused(make):
    sentence = "depthwise_gradient must be tensorflow or by_shape. Received: 'shifted'"
    with pytest.raises(ValueError, match=sentence):
        make("shifted")
