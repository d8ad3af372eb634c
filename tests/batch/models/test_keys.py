"""Every key of a model's config acts: with a value of it, something is other than without."""

import functools

import keras
import numpy as np
import pytest

from batch import TFModel
from batch.models.build import KEYS
from batch.models.torch_config import KEYS as WORDS
from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (12, 6, 6, 1), dtype=np.uint8)
LABELS = rng.integers(0, 3, 12)
INPUTS = {"images": {"shape": (6, 6, 1)}, "labels": {"classes": 3}}


def dense():
    """A block with batch normalization, and a classifier."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.BatchNormalization()]
    return [keras.Sequential(layers, name="block"), keras.layers.Dense(3, name="out")]


def residual():
    """Two blocks with branches."""
    blocks = [ResidualBlock([2, 2], seed=number, name=f"block{number}") for number in range(2)]
    return [ConvolutionBlock(2, seed=5, name="stem"), *blocks, Classifier(3, seed=6, name="out")]


def largest(logits):
    return np.max(logits, axis=-1)


def depthwise():
    """A depthwise convolution whose kernel is wider than 3, and a classifier."""
    wide = keras.layers.Conv2D(24, 1, name="wide")
    block = keras.layers.DepthwiseConv2D(5, padding="same", name="block")
    out = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)], name="out")
    return [wide, block, out]


HALF = (("survival", 0.5),)
FROZEN = (("freeze", ("block",)),)
CONSTANT = ("Constant", {"learning_rate": 0.5})
ACTS = {  # key: a value, other keys that it needs, the network
    "network": (residual, (), dense),
    "base": (dense, (), dense),
    "freeze": (["block"], (), dense),
    "inference_mode": (["block"], (), dense),
    "frozen_batch_norm": ("batch", FROZEN, dense),
    "cache": ("memory", FROZEN, dense),
    "optimizer": ("Adam", (), dense),
    "learning_rate": (0.5, (), dense),
    "schedule": (CONSTANT, (), dense),
    "decay": ({"name": "exp", "gamma": 0.5, "frequency": 1}, (), dense),
    "microbatch_size": (5, (), dense),  # each part is normalized by itself
    "depthwise_gradient": ("by_shape", (), depthwise),  # in the compiled step
    "weight_decay": (0.1, (), dense),
    "loss": ("mse", (), dense),
    "normalize": ({"mean": [0.5], "std": [0.25]}, (), dense),
    "augment": ({"pad": 2, "flip": True}, (), dense),
    "output": ({"ops": [largest]}, (), dense),
    "seed": (1, (), dense),
    "precision": ("bfloat16", (), dense),
    "survival": (0.3, (), residual),
    "rule": ("uniform", HALF, residual),
    "mode": ("sample", HALF, residual),
    "scale": ("train", HALF, residual),
    "warm_up": (50, HALF, residual),
}


@functools.cache
def seen(network, more, key=None):
    """Losses of a few steps, predictions, fetches, what the cache holds, and paddings in a step."""
    value = ACTS[key][0] if key else None
    config = {
        "inputs": INPUTS,
        **{name: list(v) if isinstance(v, tuple) else v for name, v in more},
    }
    if key == "base":
        config["base"] = keras.Sequential([keras.Input((6, 6, 1)), *network()])
    else:
        config["network"] = value() if key == "network" else network()
        config |= {} if key in (None, "network") else {key: value}
    model = TFModel(config)
    losses = [model.train(IMAGES, LABELS, rows=np.arange(10)) for _ in range(5)]
    keeps = model.trainer.cache.stats() is not None
    steps = model.trainer.steps._compiled.values()
    explicit = [b"EXPLICIT" in step.graph.as_graph_def().SerializeToString() for step in steps]
    return losses, model.predict(IMAGES).tolist(), sorted(model.fetches), keeps, explicit


@pytest.mark.parametrize("key", ACTS)
def test_a_key_acts(key):
    _, more, network = ACTS[key]
    assert seen(network, more, key) != seen(network, more)


def test_every_key_is_in_the_table():
    others = {"inputs", "input_block", *WORDS}  # without the first there is no model
    others |= {"strategy"}  # acts on several devices: tests/batch/training/test_replicas.py
    assert set(ACTS) == set(KEYS) - others  # words: tests/batch/models/test_torch_config.py


def test_which_of_several_inputs_are_the_images_must_be_said():
    several = {"inputs": {**INPUTS, "masks": {"shape": (6, 6, 1)}}, "network": dense()}
    with pytest.raises(ValueError, match="must give one shape"):
        TFModel(several)
    model = TFModel({**several, "input_block": {"inputs": "images"}})
    assert model.inputs.images[0] == "images"
