import logging

import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel
from batch.feature_cache import prefix
from batch.networks.blocks import Classifier, ConvolutionBlock

FREEZING = {"iterations": 12, "learning_rate": 0.05, "t_0": 0.2, "degree": 1, "scaled": False}


class ByHand:
    """Leading frozen blocks as set by hand."""

    def __init__(self, frozen=0):
        self.frozen = frozen

    def __call__(self, iteration):
        return np.where(np.arange(3) < self.frozen, 0.0, 0.05)


@pytest.fixture(autouse=True)
def warned_of_nothing():
    """The cache warns anew; TensorFlow does not, of the many models that are traced."""
    prefix.warn.cache_clear()
    theirs = tf.get_logger()
    level = theirs.level
    theirs.setLevel(logging.ERROR)
    yield
    theirs.setLevel(level)


def network():
    stem = ConvolutionBlock(4, 3, pool_size=2, seed=0)
    return [stem, *(ConvolutionBlock(8, 3, seed=seed) for seed in (1, 2)), Classifier(3, seed=3)]


@pytest.fixture
def model():
    """A function that makes a model with a cache, and with some blocks frozen if `frozen` says."""

    def make(cache, frozen=None, **config):
        schedule = ("FreezeOut", {**FREEZING, "finetune_rate": 0.01})
        given = {
            "inputs": {"images": {"shape": (8, 8, 1), "classes": 3}},
            "network": network(),
            "optimizer": ("SGD", {"momentum": 0.9}),
            "schedule": schedule if frozen is None else ByHand(frozen),
            "cache": cache,
        }
        return TFModel({**given, **config})

    return make


@pytest.fixture
def by_hand(model, examples):
    """A model with some blocks frozen by hand, and a function that makes one of its steps."""

    def make(frozen, cache="memory", **config):
        made = model(cache, frozen, **config)
        return made, lambda rows: made.train(*examples, rows=rows)

    return make


@pytest.fixture
def draws():
    """A function that draws the rows of some batches."""

    def draw(count):
        rng = np.random.default_rng(1)
        return [rng.permutation(60)[:20] for _ in range(count)]

    return draw
