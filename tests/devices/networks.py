"""Networks, data and commands of the programs that train on several devices."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest

from batch import TFModel

FREEZING = ("FreezeOut", {"iterations": 4, "learning_rate": 0.1, "t_0": 0.4, "degree": 1})
EARLY = ("FreezeOut", {**FREEZING[1], "iterations": 10, "t_0": 0.2})  # the first block after two
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(16, 6)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (16, 4, 4, 1), dtype=np.uint8)
LABELS = np.arange(16) % 3
SIZE = 7  # of a batch: not divisible by two
WEIGHTS = np.linspace(0, 2, SIZE)
TRAIN = ["train", "--iterations", "4", "--batch-size", "41", "--method", "freezeout"]


def plain():
    regularized = keras.layers.Dense(4, "tanh", kernel_regularizer=keras.regularizers.L2(0.1))
    return [keras.layers.Dense(5, "tanh"), regularized, keras.layers.Dense(3)]


def convolutions():
    flat = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    return [keras.layers.Conv2D(2, 3), keras.layers.Conv2D(3, 2), flat]


def made(strategy, layers, images=ROWS, **config):
    inputs = {"inputs": {"shape": images.shape[1:]}, "labels": {"classes": 3}}
    return TFModel({"inputs": inputs, "network": layers, "strategy": strategy, **config})


def steps(model, images=ROWS, count=4, weights=None):
    """Losses of steps on batches that straddle epochs."""
    first = model.iteration * SIZE
    batches = [(np.arange(SIZE) + first + SIZE * step) % 16 for step in range(count)]
    return [model.train(images, LABELS, rows=rows, loss_weights=weights) for rows in batches]


def state(model):
    """All variables of a network in a row."""
    return np.concatenate([np.ravel(each) for each in model.network.variables]).tolist()


def both(strategy, layers, images=ROWS, weights=None, count=4, **config):
    """Losses and variables of a model on one device and on several, and the two models."""
    layers = layers()
    models = [made(each, layers, images, **config) for each in (None, strategy)]
    losses = [steps(model, images, count, weights) for model in models]
    return {"losses": losses, "variables": [state(model) for model in models]}, models


def refusal(call):
    """The sentence of a refusal; None if there is none."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return None


def commanded(*options):
    """The exit status of `resbatch`, with a network that is quickly compiled."""
    from research.cli import main

    path = pathlib.Path(__file__).parents[1] / "research" / "small_networks.py"
    spec = importlib.util.spec_from_file_location("small_networks", path)
    small = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(small)
    with pytest.MonkeyPatch.context() as patched:
        small.use(patched)
        return main([*TRAIN, *options])
