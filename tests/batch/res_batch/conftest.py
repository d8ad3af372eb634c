import pytest
from batchflow import Dataset, DatasetIndex

from batch import ResBatch


@pytest.fixture
def dataset(examples):
    return Dataset(DatasetIndex(range(len(examples[1]))), ResBatch)


@pytest.fixture
def config(blocks):
    """The pipelines' config with a small network, so that the tests are quick."""
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
