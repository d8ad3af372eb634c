import numpy as np

from batch.networks.efficientnet import InvertedResidual, efficientnet_lite0
from batch.networks.stochastic_depth import StochasticDepth, is_residual


def test_it_has_the_published_size_and_blocks(parameters, shapes):
    network = efficientnet_lite0((224, 224, 3), 1000)
    assert round(parameters(network) / 1e6, 2) == 4.65  # 4.69 with the moving statistics
    assert network.count_params() == 4_694_024
    names = ["stem", *(f"block{number}" for number in range(16)), "head", "classifier"]
    assert [layer.name for layer in network.layers] == names
    assert shapes(network) == [(side, side) for side in (112, 56, 28, 14, 7)]
    added = [number for number in range(16) if is_residual(network.layers[number + 1])]
    assert added == [2, 4, 6, 7, 9, 10, 12, 13, 14]  # all of a stage but its first


def test_a_dropped_block_is_its_input():
    block = InvertedResidual(4, seed=0)
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    added = np.asarray(block(images)) - images
    assert np.abs(added).max() > 0.1
    np.testing.assert_array_equal(StochasticDepth(block, 0.0)(images, training=True), images)
    halved = StochasticDepth(block, 0.5)(images, training=False)
    np.testing.assert_allclose(halved - images, added / 2, rtol=0, atol=1e-6)


def test_its_features_keep_their_size_through_the_network():
    network = efficientnet_lite0((64, 64, 3), 10)
    images = np.random.default_rng(0).normal(size=(8, 64, 64, 3)).astype(np.float32)
    features = images
    for layer in network.layers[:-1]:
        features = layer(features, training=True)
        assert 0.05 < np.std(features) < 5, layer.name


def test_weights_follow_from_the_seed():
    ours, same, other = (efficientnet_lite0((32, 32, 3), 3, seed=seed) for seed in (1, 1, 2))
    for one, two, three in zip(*(net.trainable_variables for net in (ours, same, other))):
        np.testing.assert_array_equal(one, two)
        if "kernel" in one.path:
            assert np.abs(one - three).max() > 0
