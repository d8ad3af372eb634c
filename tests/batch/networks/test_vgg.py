import numpy as np
import pytest

from batch import VGG
from batch.networks.blocks import Classifier
from batch.networks.vgg import vgg

SHAPE = (32, 32, 3)


def parameters(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)


@pytest.mark.parametrize(
    ("depth", "weights", "blocks"),
    # Weights of the 3×3 convolutions: 9 times the sum of the products of neighbouring widths.
    [
        ("A", 9 * (192 + 8192 + 32768 + 65536 + 131072 + 3 * 262144), 8),
        ("B", 9 * (192 + 4096 + 8192 + 16384 + 32768 + 65536 + 131072 + 3 * 262144), 10),
        (16, 9 * (192 + 4096 + 8192 + 16384 + 32768 + 2 * 65536 + 131072 + 5 * 262144), 13),
        ("E", 9 * (192 + 4096 + 8192 + 16384 + 32768 + 3 * 65536 + 131072 + 7 * 262144), 16),
    ],
)
def test_vggs_have_the_papers_convolutions(depth, weights, blocks):
    network = vgg(SHAPE, 10, depth)
    kernels = [weight for weight in network.trainable_variables if len(weight.shape) == 4]
    assert sum(int(np.prod(kernel.shape)) for kernel in kernels) == weights
    assert parameters(network) == weights + 2 * sum(k.shape[-1] for k in kernels) + 5130
    assert len(network.layers) == blocks + 1


def test_vgg_pools_images_of_any_size():
    assert vgg((28, 28, 1), 10, 11).layers[-2].output.shape == (None, 1, 1, 512)


def test_vgg_as_published():
    # The paper's table 2: 138 M parameters in configuration D.
    options = {
        "use_bias": True,
        "hidden": (4096, 4096),
        "dropout": 0.5,
        "batch_normalization": False,
    }
    network = vgg((224, 224, 3), 1000, "D", **options)
    assert parameters(network) == 138_357_544
    assert network.layers[-1].drop.rate == 0.5


def test_hidden_layers_drop_all_but_their_first_input():
    images = np.ones((500, 2, 2, 3), np.float32)
    classifier = Classifier(2, seed=0, dropout=0.5, hidden=(4, 4))
    seen = []
    classifier.drop.call = lambda inputs, training: seen.append(inputs.shape) or inputs
    classifier(images, training=True)
    assert seen == [(500, 4), (500, 4)]
    plain = Classifier(2, seed=0, dropout=0.5)
    outputs = np.asarray(plain(images, training=True))
    assert len(np.unique(outputs.round(5), axis=0)) == 8  # any of three averages dropped, or not
    np.testing.assert_array_equal(plain(images), plain(images[::-1]))


def test_options_of_the_network_reach_it_through_a_model():
    inputs = {"images": {"shape": SHAPE}, "labels": {"classes": 3}}
    options = {"depth": "A", "batch_normalization": False, "use_bias": True, "hidden": (4,)}
    network = VGG({"inputs": inputs, **options}).network
    assert all(block.normalization is None for block in network.layers[:-1])
    assert network.layers[0].convolution.use_bias
    assert [dense.units for dense in network.layers[-1].hidden] == [4]
