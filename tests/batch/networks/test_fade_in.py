import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import FadeIn, TFModel, faded_in
from batch.networks.blocks import Classifier, ResidualBlock
from research.benchmarks.graphs import executed_operations

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


@pytest.fixture(scope="module")
def trained(blocks, drawn):
    model = TFModel({"inputs": INPUTS, "network": blocks(), "learning_rate": 0.05})
    for _ in range(5):
        model.train(*drawn)
    return model


def grown(model, iterations=4, **config):
    *old, classifier = model.network.layers
    new = FadeIn(ResidualBlock([4, 8], seed=5, name="new"), iterations)
    return TFModel({"inputs": INPUTS, "network": [*old, new, classifier], **config})


def test_the_grown_network_starts_as_the_old_function(trained, examples):
    np.testing.assert_array_equal(grown(trained).predict(examples[0]), trained.predict(examples[0]))
    twin = TFModel({"inputs": INPUTS, "network": trained.network.layers})
    # In training too: α is 0 in the first step.
    assert grown(trained).train(*examples) == twin.train(*examples)


def test_alpha_rises_linearly_and_stops_at_one(trained, examples):
    model = grown(trained, learning_rate=0.01)
    layer = model.network.layers[-2]
    alphas = []
    for _ in range(6):
        alphas.append(float(layer.alpha))
        model.train(*examples)
    assert alphas == [0, 0.25, 0.5, 0.75, 1, 1]
    model.predict(examples[0])
    assert int(layer.steps) == 6


def test_the_sum_is_what_it_says(examples):
    old, new = keras.layers.Dense(5, name="old"), keras.layers.Dense(5, name="new")
    layer = FadeIn(new, 10, old)
    inputs = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    layer(inputs)
    layer.steps.assign(3)
    expected = 0.7 * old(inputs) + 0.3 * new(inputs)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5, atol=1e-6)


def test_at_alpha_zero_the_new_block_gets_no_gradient_and_learns_from_then_on(trained, examples):
    model = grown(trained, optimizer="SGD", learning_rate=0.1)
    kernel = model.network.layers[-2].new.convolutions[0].kernel
    values = [kernel.numpy()]
    for _ in range(2):
        model.train(*examples)
        values.append(kernel.numpy())
    np.testing.assert_array_equal(values[0], values[1])
    assert np.any(values[1] != values[2])


def test_when_faded_in_it_can_go_and_the_function_stays(trained, examples):
    model = grown(trained, learning_rate=0.05)
    for _ in range(3):
        model.train(*examples)
    with pytest.raises(ValueError, match=r"new is faded in after 4 training steps\. .* after 3"):
        faded_in(model.network.layers)
    for _ in range(2):
        model.train(*examples)
    without = TFModel({"inputs": INPUTS, "network": faded_in(model.network.layers)})
    assert [type(layer) for layer in without.network.layers[-2:]] == [ResidualBlock, Classifier]
    np.testing.assert_array_equal(without.predict(examples[0]), model.predict(examples[0]))
    assert without.train(*examples) == model.train(*examples)


def test_a_frozen_one_stays_where_it_is(trained, examples):
    model = grown(trained, freeze=["new"])
    operations = executed_operations(lambda: model.train(*examples))
    assert operations["Conv2DBackpropFilter"] == 1 + 3 + 2
    assert int(model.network.layers[-2].steps) == 0


def test_saved_half_way_it_goes_on(trained, examples, tmp_path):
    model = grown(trained, learning_rate=0.05)
    for _ in range(2):
        model.train(*examples)
    model.save(tmp_path / "model")
    loaded = TFModel({"load": {"path": tmp_path / "model"}})
    assert float(loaded.network.layers[-2].alpha) == 0.5
    losses = [[trained.train(*examples) for _ in range(3)] for trained in (model, loaded)]
    assert losses[0] == losses[1]


def test_in_bfloat16_both_ends_are_exact():
    new = keras.layers.Dense(4, dtype="mixed_bfloat16", name="new")
    layer = FadeIn(new, 2)
    inputs = tf.constant(np.random.default_rng(0).normal(size=(7, 4)), tf.float32)
    narrow = tf.cast(inputs, tf.bfloat16)
    np.testing.assert_array_equal(layer(inputs), narrow)
    layer.steps.assign(2)
    np.testing.assert_array_equal(layer(inputs), new(narrow))


def test_paths_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"give what it gives, shape \(2, 5\)\. Received: \(2, 3\)"
    ):
        FadeIn(keras.layers.Dense(5, name="new"), 4)(np.zeros((2, 3)))
    inputs = {"rows": {"shape": (4,), "classes": 2}}
    layers = [FadeIn(keras.layers.Dense(4, name="new"), 3), keras.layers.Dense(2)]
    with pytest.raises(ValueError, match="new would never fade in: leave it out of inference_mode"):
        TFModel({"inputs": inputs, "network": layers, "inference_mode": ["new"]})
    with pytest.raises(ValueError, match="iterations must be a whole number above 0"):
        FadeIn(keras.layers.Dense(5), 0)
