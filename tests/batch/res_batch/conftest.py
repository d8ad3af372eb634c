import keras
import pytest
from batchflow import Dataset, DatasetIndex

from batch import ResBatch


@pytest.fixture
def dataset(examples):
    return Dataset(DatasetIndex(range(len(examples[1]))), ResBatch)


@pytest.fixture
def config():
    """The pipelines' config with a tiny network, so that the tests are quick."""
    head = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)], name="head")
    layers = [keras.layers.Conv2D(2, 3, 2, name="stem"), head]
    return {kind: {"network": layers} for kind in ("resnet", "freeznet")}


@pytest.fixture
def residual(blocks):
    """The pipelines' config with a network of residual blocks."""
    return {kind: {"network": blocks()} for kind in ("resnet", "freeznet", "stochastic")}


@pytest.fixture
def preloaded(examples):
    return Dataset(DatasetIndex(range(len(examples[1]))), ResBatch, preloaded=examples)


@pytest.fixture
def steps():
    """A function that draws some batches from a pipeline."""

    def make_steps(pipeline, count=3, batch_size=20, **options):
        for _ in range(count):
            pipeline.next_batch(batch_size, n_epochs=None, shuffle=2, **options)

    return make_steps
