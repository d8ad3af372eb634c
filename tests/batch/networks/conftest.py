import numpy as np
import pytest


@pytest.fixture
def parameters():
    """A function that counts the trainable parameters of a network."""
    return lambda network: sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)


@pytest.fixture
def shapes():
    """A function that gives the sizes of the images that a network's blocks give, each once."""
    return lambda network: list(
        dict.fromkeys(tuple(layer.output.shape[1:3]) for layer in network.layers[:-1])
    )
