import keras
import numpy as np
import pytest

from batch import TFModel

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


@pytest.fixture
def make(blocks):
    """A function that makes a small model."""

    def make_model(**config):
        rate = {} if "schedule" in config else {"learning_rate": 0.05}
        return TFModel({"inputs": INPUTS, "network": blocks(), **rate, **config})

    return make_model


VECTORS = {"images": {"shape": (6,)}, "labels": {"classes": 3}}


@pytest.fixture(scope="session")
def vectors():
    """32 vectors of 6 numbers, and their classes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 6)).astype(np.float32), rng.integers(0, 3, 32)


@pytest.fixture
def dense():
    """A function that makes the layers of a network of two dense ones, the same ones each time."""

    def make_layers():
        hidden, logits = (keras.initializers.HeNormal(seed=seed) for seed in (1, 2))
        return [
            keras.layers.Dense(8, "relu", name="hidden", kernel_initializer=hidden),
            keras.layers.Dense(3, name="logits", kernel_initializer=logits),
        ]

    return make_layers


@pytest.fixture
def make_dense(dense):
    """A function that makes a model of them."""

    def make_model(**config):
        return TFModel({"inputs": VECTORS, "network": dense(), "cache": "off", **config})

    return make_model
