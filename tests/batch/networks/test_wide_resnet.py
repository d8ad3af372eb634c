import numpy as np
import pytest
import tensorflow as tf

from batch.networks.stochastic_depth import with_stochastic_depth
from batch.networks.wide_resnet import BLOCKS, PreActivationBlock, wide_resnet
from research import names

SHAPE = (32, 32, 3)


@pytest.mark.parametrize(
    ("depth", "widen_factor", "millions"),
    # As published; WRN-16-4 by hand: 432 + 121,248 + 525,184 + 2,098,944 + 512 + 2,570.
    [(40, 4, 8.9), (28, 10, 36.5), (22, 8, 17.2), (16, 8, 11.0), (16, 4, 2.7)],
)
def test_wide_resnets_have_the_published_sizes(parameters, shapes, depth, widen_factor, millions):
    network = wide_resnet(SHAPE, 10, depth, widen_factor)
    assert round(parameters(network) / 1e6, 1) == millions
    assert len(network.layers) == 3 * (depth - 4) // 6 + 2
    assert shapes(network) == [(32, 32), (16, 16), (8, 8)]


@pytest.mark.parametrize(
    ("block", "depth", "millions"),
    # The paper's table 2, which is of k = 2 (and says so nowhere), to the digit that it gives.
    [
        ("B(1,3,1)", 40, 1.4),
        ("B(3,1)", 40, 1.2),
        ("B(1,3)", 40, 1.3),
        ("B(3,1,1)", 40, 1.3),
        ("B(3,3)", 28, 1.5),
        ("B(3,1,3)", 22, 1.1),
    ],
)
def test_types_of_blocks_have_the_published_sizes(parameters, shapes, block, depth, millions):
    network = wide_resnet(SHAPE, 10, depth, 2, block=block)
    assert round(parameters(network) / 1e6, 1) == millions
    assert len(network.layers) == 3 * (depth - 4) // 6 + 2
    assert shapes(network) == [(32, 32), (16, 16), (8, 8)]
    convolutions = network.layers[1].convolutions
    assert f"B({','.join(str(conv.kernel_size[0]) for conv in convolutions)})" == block


def test_the_stride_is_that_of_the_first_3x3_convolution():
    block = PreActivationBlock(6, strides=2, kernel_sizes=(1, 3, 1), seed=0)
    assert block(np.zeros((1, 8, 8, 4), np.float32)).shape == (1, 4, 4, 6)
    assert [conv.strides[0] for conv in block.convolutions] == [1, 2, 1]


def test_a_block_without_a_3x3_convolution_is_refused():
    with pytest.raises(ValueError, match=r"One of kernel_sizes must be 3. Received: \(1, 1\)"):
        PreActivationBlock(6, kernel_sizes=(1, 1))


def test_shortcuts_are_projected_only_where_the_shape_changes():
    network = wide_resnet(SHAPE, 10, 16, 1)
    projected = [layer.projection is not None for layer in network.layers[1:-1]]
    assert projected == [False, False, True, False, True, False]  # k = 1 keeps the stem's 16
    wide = wide_resnet(SHAPE, 10, 16, 2)
    assert wide.layers[1].projection is not None
    assert wide.layers[2].projection is None


def test_all_types_of_blocks_are_listed_for_the_command_line():
    assert tuple(BLOCKS) == names.BLOCKS


@pytest.mark.parametrize("strides", [1, 2])
def test_pre_activation_blocks_share_the_first_normalization_where_they_project(strides):
    inputs = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    block = PreActivationBlock(4, strides, seed=0)
    outputs = block(inputs)
    features = tf.nn.relu(block.normalizations[0](inputs))
    shortcut = inputs if strides == 1 else block.projection(features)
    branch = block.convolutions[0](features)
    branch = block.convolutions[1](tf.nn.relu(block.normalizations[1](branch)))
    np.testing.assert_allclose(outputs, shortcut + branch, atol=1e-5)
    assert (block.projection is None) == (strides == 1)
    before = block.normalizations[0].moving_mean.numpy()
    block(inputs, training=True)  # moves the statistics once, although two paths use them
    moved = 0.9 * before + 0.1 * inputs.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(block.normalizations[0].moving_mean, moved, rtol=1e-5)


def test_dropout_stands_between_the_convolutions_and_follows_its_seed():
    inputs = np.random.default_rng(0).normal(size=(2, 4, 4, 4)).astype(np.float32)
    first, second = (PreActivationBlock(4, dropout=0.5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first(inputs), PreActivationBlock(4, seed=3)(inputs))
    outputs = [block(inputs, training=True).numpy() for block in (first, second)]
    np.testing.assert_array_equal(*outputs)
    assert not np.array_equal(first(inputs, training=True), outputs[0])
    assert first.dropout.rate == 0.5


def test_a_dropped_pre_activation_branch_leaves_the_projected_shortcut():
    block = PreActivationBlock(6, strides=2, seed=0)
    (dropping,) = with_stochastic_depth([block], 0.0, rule="uniform")
    inputs = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
    dropped = dropping(inputs, training=True)
    features = tf.nn.relu(block.normalizations[0](inputs, training=True))
    np.testing.assert_allclose(dropped, block.projection(features), atol=1e-6)
