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
