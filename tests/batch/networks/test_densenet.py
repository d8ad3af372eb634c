import numpy as np
import pytest
import tensorflow as tf

from batch.networks.densenet import DenseLayer, Transition, densenet

SHAPE = (32, 32, 3)


@pytest.mark.parametrize(
    ("depth", "growth_rate", "options", "count", "blocks"),
    [
        # k = 12, L = 76, 12 layers a stage. A layer with c channels coming in has 2c + 48c, then
        # 96 + 9·48·12 parameters: 50·c + 5,280. Stem 648; stages 50·1080 + 63,360, 50·1800 + 63,360
        # and 50·2160 + 63,360; transitions 336 + 168·84 and 456 + 228·114; classifier 516 + 2,590.
        (76, 12, {}, 486_730, 39),
        (100, 12, {}, 769_162, 51),  # published: 0.8 M
        (40, 12, {"bottleneck": False, "compression": 1.0}, 1_019_722, 39),  # published: 1.0 M
    ],
)
def test_densenets_have_the_published_sizes(
    parameters, shapes, depth, growth_rate, options, count, blocks
):
    network = densenet(SHAPE, 10, depth, growth_rate, **options)
    assert parameters(network) == count
    assert len(network.layers) == blocks + 1
    assert shapes(network) == [(32, 32), (16, 16), (8, 8)]


def test_a_dense_layer_joins_what_it_computes_to_its_input():
    layer = DenseLayer(3, seed=0)
    inputs = np.random.default_rng(0).normal(size=(2, 4, 4, 5)).astype(np.float32)
    outputs = layer(inputs).numpy()
    assert outputs.shape == (2, 4, 4, 8)
    np.testing.assert_array_equal(outputs[..., :5], inputs)
    features = inputs
    for norm, conv in zip(layer.normalizations, layer.convolutions):
        features = conv(tf.nn.relu(norm(features)))
    np.testing.assert_allclose(outputs[..., 5:], features, atol=1e-6)
    assert [conv.kernel_size for conv in layer.convolutions] == [(1, 1), (3, 3)]
    assert [conv.filters for conv in layer.convolutions] == [12, 3]


def test_a_transition_halves_the_image():
    layer = Transition(3, seed=0)
    inputs = np.random.default_rng(0).normal(size=(2, 4, 4, 5)).astype(np.float32)
    outputs = layer(inputs)
    features = layer.convolution(tf.nn.relu(layer.normalization(inputs)))
    np.testing.assert_allclose(outputs, tf.nn.avg_pool2d(features, 2, 2, "VALID"), atol=1e-6)
