import dataclasses

import keras
import numpy as np
import pytest

from batch import TFModel
from batch.flops import block_costs, measured
from batch.networks.stochastic_depth import with_stochastic_depth
from batch.training import block_times
from batch.training.block_times import timed

PASSES = ("inference", "forward", "weights", "input", "both")
TOOK = {"inference": 2.0, "forward": 3.0, "weights": 7.0, "input": 6.0, "both": 12.0}


def model_of(layers, **options):
    inputs = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
    return TFModel({"inputs": inputs, "network": layers, **options})


@pytest.fixture
def took(monkeypatch):
    """Passes of known length, which are compiled and run even so; their names are noted."""
    noted = []
    medians = block_times._medians

    def known(passes):
        noted.append(tuple(passes))
        assert all(taken > 0 for taken in medians(passes).values())
        return TOOK

    monkeypatch.setattr(block_times, "_medians", known)
    return noted


@pytest.mark.parametrize(
    "options", [{}, {"augment": True}, {"augment": {"flip": True, "views": 3}}, {"seed": 1}]
)
def test_seconds_of_an_image_come_from_five_passes_of_a_batch(blocks, took, options):
    model = model_of(blocks(), **options)
    costs = block_costs(model.network)
    seconds = measured(timed(costs, model.trainer, 2))
    assert took == [PASSES] * 4
    for each in seconds:
        parts = each.weight_gradient, each.inner_gradient, each.input_gradient
        assert (each.inference, each.forward, *parts) == (1, 1.5, 3, 0, 2.5)  # 7 - 3 - 6 is noise


def test_the_costs_that_decide_bits_stay_as_they_are(blocks, took):
    model = model_of(blocks())
    costs = block_costs(model.network)
    made = timed(costs, model.trainer, 2)
    assert [dataclasses.replace(cost, seconds=None) for cost in made] == costs


def test_a_dropped_branch_has_seconds_of_its_own(blocks, took):
    layers = with_stochastic_depth(blocks(), 0.5)
    model = model_of(layers)
    stem, first, *_ = measured(timed(block_costs(model.network), model.trainer, 2))
    assert len(took) == 6
    assert stem.dropped is None
    assert first.dropped.forward == 1.5
    assert first.survival == layers[1].computed


def test_blocks_that_learn_nothing_or_take_several_types_are_measured(took):
    layers = [
        keras.layers.Rescaling(0.5),
        keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16"),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]
    model = model_of(layers)
    assert len(measured(timed(block_costs(model.network), model.trainer, 2))) == 4


def test_a_slow_pass_takes_longer():
    class Slow(keras.layers.Layer):
        def call(self, inputs):
            work = keras.ops.ones((1200, 1200)) * keras.ops.mean(inputs)
            return inputs + keras.ops.mean(work @ work @ work)

    model = model_of([Slow(), keras.layers.Flatten(), keras.layers.Dense(3)])
    slow, quick, _ = measured(timed(block_costs(model.network), model.trainer, 2))
    assert slow.forward > 5 * quick.forward
    assert np.isfinite([slow.input_gradient, slow.weight_gradient]).all()
