import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import Constant, FreezeOut
from batch.flops import (
    BlockCost,
    block_costs,
    forward,
    forward_of,
    frozen_ratios,
    measured,
    predicted_ratio,
    step_cost,
)
from batch.networks.resnet import small_resnet
from batch.networks.stochastic_depth import with_stochastic_depth


@pytest.fixture(scope="module")
def costs():
    return block_costs(small_resnet((28, 28, 1), 10))


def test_costs_as_counted_by_hand(costs):
    stem, first, _, third, _, classifier = costs
    assert stem.forward == stem.weight_gradient == 14 * 14 * 7 * 7 * 32
    assert stem.inner_gradient == 0
    assert first.forward == 49 * (32 * 32 + 9 * 32 * 32 + 32 * 128 + 32 * 128)
    assert first.input_gradient == 49 * (32 * 32 + 32 * 128)
    assert first.inner_gradient == 49 * (9 * 32 * 32 + 32 * 128)
    assert third.forward == 49 * (128 * 64 + 9 * 64 * 64 + 64 * 256 + 128 * 256)
    assert (classifier.forward, classifier.input_gradient) == (2560, 2560)


def test_a_step_costs_forward_weight_and_input_gradients(costs):
    forward = sum(cost.forward for cost in costs)
    assert step_cost(costs, [True] * 6) == 3 * forward - costs[0].forward
    assert step_cost(costs, [False] * 6) == forward
    prefix = step_cost(costs, [False, False, False, True, True, True])
    assert (
        prefix
        == forward
        + 3 * 0
        + sum(
            cost.weight_gradient + cost.inner_gradient + cost.input_gradient for cost in costs[3:]
        )
        - costs[3].input_gradient
    )


def test_a_frozen_block_in_the_middle_saves_its_weight_gradient_only(costs):
    whole = step_cost(costs, [True] * 6)
    middle = step_cost(costs, [True, True, False, True, True, True])
    assert whole - middle == costs[2].weight_gradient


def test_ratios_fall_to_the_forward_pass(costs):
    ratios = frozen_ratios(costs)
    assert ratios.shape == (6,)
    assert ratios[0] == 1
    assert (np.diff(ratios) < 0).all()
    assert ratios[5] == step_cost(costs, [False] * 6) / step_cost(costs, [True] * 6)


def test_predicted_ratio_is_the_mean_over_the_stages(costs):
    ratios = frozen_ratios(costs)
    schedule = FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False)
    expected = (180 * ratios[0] + 30 * ratios[1:5].sum()) / 300
    assert predicted_ratio(costs, schedule, 300) == pytest.approx(expected)
    assert predicted_ratio(costs, Constant(5, 0.1), 10) == 1


def test_costs_that_were_measured_count_in_seconds(costs):
    seconds = [BlockCost(3.0, 2.0, 1.0, 1.5, inference=2.0)] * 6
    both = [dataclasses.replace(cost, seconds=one) for cost, one in zip(costs, seconds)]
    assert measured(both) == seconds
    assert measured([*both[:5], costs[5]]) == [*both[:5], costs[5]]  # not all of them were
    assert step_cost(seconds, [True] * 6) == 6 * (3 + 2 + 1) + 5 * 1.5
    assert step_cost(seconds, [False] * 4 + [True] * 2) == 4 * 2 + 2 * 6 + 1.5
    assert step_cost(both, [True] * 6) == step_cost(costs, [True] * 6)
    ratios = frozen_ratios(both)
    assert ratios[[0, 4]].tolist() == [1, (8 + 12 + 1.5) / (36 + 7.5)]
    schedule = FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False)
    expected = (180 * ratios[0] + 30 * ratios[1:5].sum()) / 300
    assert predicted_ratio(both, schedule, 300) == pytest.approx(expected)


def test_layers_without_products_cost_nothing():
    network = keras.Sequential(
        [keras.Input((4, 4, 2)), keras.layers.ReLU(), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    costs = block_costs(network)
    assert [cost.forward for cost in costs] == [0, 0, 96]
    assert costs[2].weight_gradient == 96


@pytest.mark.parametrize("mode", ["batch", "sample"])
def test_stochastic_depth_costs_what_survives(costs, mode):
    layers = with_stochastic_depth(
        small_resnet((28, 28, 1), 10).layers, 0.25, rule="uniform", mode=mode
    )
    dropping = block_costs(keras.Sequential([keras.Input((28, 28, 1)), *layers]))
    everything = [True] * 6
    whole = step_cost(costs, everything)
    assert step_cost(dropping, everything, dropping=False) == whole
    if mode == "sample":  # draws for each example, and computes every branch
        assert step_cost(dropping, everything) == whole
        return
    shortcuts = 3 * 49 * (32 * 128 + 128 * 256)
    branches = sum(3 * cost.forward for cost in costs[1:5]) - shortcuts
    expected = whole - 0.75 * branches
    assert step_cost(dropping, everything) == pytest.approx(expected, rel=1e-12)
    assert predicted_ratio(dropping, Constant(5, 0.1), 10) == pytest.approx(expected / whole)
    frozen = [False, False, *everything[2:]]  # block 0 then runs whole, in inference mode
    saved = step_cost(dropping, everything) - step_cost(dropping, frozen)
    assert saved == pytest.approx(
        2 * costs[0].forward
        + dropping[1].expected().forward
        - costs[1].forward
        + sum(
            getattr(dropping[1].expected(), part)
            for part in ("weight_gradient", "inner_gradient", "input_gradient")
        )
        + dropping[2].expected().input_gradient
        - costs[0].forward
    )


def test_products_and_what_is_held_for_the_backward_pass(costs):
    assert [cost.products for cost in costs] == [1, 4, 3, 4, 3, 1]
    # The classifier: its average, 256 numbers, and 10 logits, in float32.
    assert costs[-1].held == 4 * (256 + 10)
    # The second block: the convolutions' outputs, the two activations between them, and the sum
    # after its ReLU; 7×7 images.
    channels = 32 + 32 + 128 + 32 + 32 + 128
    assert 4 * 49 * channels <= costs[2].held <= 4 * 49 * (channels + 128)


def test_in_bfloat16_half_is_held_and_no_weights():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        halved = block_costs(small_resnet((28, 28, 1), 10))
    finally:
        keras.config.set_dtype_policy("float32")
    whole = block_costs(small_resnet((28, 28, 1), 10))
    for less, more in zip(halved[:-1], whole[:-1]):
        assert 0.45 * more.held < less.held < 0.7 * more.held


def test_the_forward_pass_of_a_block_for_one_image():
    layer = keras.layers.Dense(4)
    layer.build((None, 5, 3))
    keras.Sequential([keras.Input((5, 3)), layer])
    counted = forward(layer, tf.TensorSpec((1, 5, 3), tf.float32))
    assert counted.cost == 5 * 3 * 4
    assert counted.outputs.shape == (1, 5, 4)
    assert not counted.random


@pytest.mark.parametrize(
    ("layer", "shape", "told"),
    [
        (keras.layers.Conv2D(4, 3), (8, 8, 3), True),
        (keras.layers.Dense(5), (7,), True),
        (keras.layers.GlobalAveragePooling2D(), (4, 4, 3), True),
        (keras.layers.Dropout(0.5), (4,), True),
        (keras.layers.Flatten(), (4, 4, 3), False),
        (keras.layers.MultiHeadAttention(2, 3), (5, 6), False),
        (keras.layers.Conv2D(4, 3), (None, None, 3), False),
    ],
)
def test_what_one_image_costs_is_told_by_a_graph_for_any_batch(layer, shape, told):
    inputs = keras.Input(shape)
    both = (inputs, inputs) if isinstance(layer, keras.layers.MultiHeadAttention) else (inputs,)
    block = keras.Model(inputs, layer(*both))
    spec = tf.TensorSpec((None, *shape), tf.float32)
    graph = tf.function(lambda x: block(x, training=False)).get_concrete_function(spec).graph
    found = forward_of(graph)
    assert (found is not None) == told
    if told:
        assert found == forward(block, tf.TensorSpec((1, *shape), tf.float32))
