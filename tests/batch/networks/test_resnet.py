import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch.networks.blocks import ConvolutionBlock, ResidualBlock
from batch.networks.layers import FusedBatchNormalization
from batch.networks.resnet import small_resnet


def test_small_resnet_is_a_sequence_of_blocks():
    network = small_resnet((28, 28, 1), 10)
    names = ["stem", "block0", "block1", "block2", "block3", "classifier"]
    assert [layer.name for layer in network.layers] == names
    shapes = [tuple(layer.output.shape[1:]) for layer in network.layers]
    assert shapes == [(7, 7, 32), *[(7, 7, 128)] * 2, *[(7, 7, 256)] * 2, (10,)]


def test_parameters_as_counted_by_hand():
    # Convolutions, then scale and offset of each normalization; blocks 0 and 2 project.
    expected = [
        7 * 7 * 32 + 2 * 32,
        32 * 32 + 9 * 32 * 32 + 32 * 128 + 32 * 128 + 2 * (32 + 32 + 128 + 128),
        128 * 32 + 9 * 32 * 32 + 32 * 128 + 2 * (32 + 32 + 128),
        128 * 64 + 9 * 64 * 64 + 64 * 256 + 128 * 256 + 2 * (64 + 64 + 256 + 256),
        256 * 64 + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256),
        256 * 10 + 10,
    ]
    network = small_resnet((28, 28, 1), 10)
    counted = [
        sum(int(np.prod(weight.shape)) for weight in layer.trainable_variables)
        for layer in network.layers
    ]
    assert counted == expected


def test_branches_are_added_and_normalized():
    block = ResidualBlock([2, 2, 3], seed=0)
    inputs = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    block.build(inputs.shape)
    assert block.projection is None
    block.normalizations[-1].gamma.assign([0, 0, 0])  # the branch gives 0
    np.testing.assert_allclose(block(inputs), np.maximum(inputs, 0), atol=1e-6)


def test_a_stride_or_more_channels_project_the_shortcut():
    for options, shape in (({"strides": 2}, (2, 2, 2, 3)), ({}, (2, 4, 4, 3))):
        channels = 3 if options else 5
        block = ResidualBlock([2, 2, 3], **options)
        outputs = block(np.zeros((2, 4, 4, channels), np.float32))
        assert tuple(outputs.shape) == shape
        assert block.projection is not None


def test_initial_weights_follow_the_seed_and_he():
    same, again, other = (small_resnet((28, 28, 1), 10, seed) for seed in (1, 1, 2))
    for first, second in zip(same.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(first, second)
    kernels = [
        (first, second)
        for first, second in zip(same.trainable_variables, other.trainable_variables)
        if len(first.shape) == 4
    ]
    for first, second in kernels:
        assert not np.array_equal(first, second)
        fan_out = np.prod([*first.shape[:2], first.shape[3]])
        assert np.std(first) == pytest.approx(np.sqrt(2 / fan_out), rel=0.08)
    assert len({float(np.ravel(first)[0]) for first, _ in kernels}) == len(kernels)


def test_momentum_of_every_normalization_is_09():
    network = small_resnet((28, 28, 1), 10)
    layers = [
        part for part in network._flatten_layers() if isinstance(part, FusedBatchNormalization)
    ]
    assert [layer.momentum for layer in layers] == [0.9] * 15


def test_filters_must_be_two_or_three():
    with pytest.raises(ValueError, match=r"two or three .* Received: \[4\]"):
        ResidualBlock([4])


def test_saved_networks_load_in_a_plain_keras_session_which_knows_all_of_our_layers(tmp_path):
    policies = ("float32", "mixed_bfloat16")
    for policy in policies:
        keras.config.set_dtype_policy(policy)
        try:
            network = small_resnet((28, 28, 1), 10)
        finally:
            keras.config.set_dtype_policy("float32")
        inputs = np.random.default_rng(0).random((3, 28, 28, 1)).astype(np.float32)
        network(inputs, training=True)  # so that the statistics are not the initial ones
        network.save(tmp_path / f"{policy}.keras")
        np.savez(tmp_path / f"{policy}.npz", inputs=inputs, outputs=network(inputs))
    script = f"""
import keras, numpy as np
from batch import TFModel
for policy in {policies}:
    network = keras.saving.load_model(f"{tmp_path}/{{policy}}.keras")
    saved = np.load(f"{tmp_path}/{{policy}}.npz")
    np.testing.assert_array_equal(network(saved["inputs"]), saved["outputs"])
names = ["PreActivationBlock", "DenseLayer", "Transition", "InvertedResidual", "LinearBottleneck"]
names += ["Stem", "ResidualBlock", "Classifier", "StochasticDepth", "FadeIn", "SqueezeExcitation"]
registered = keras.saving.get_registered_object
missing = [name for name in names if registered(f"resbatch>{{name}}") is None]
assert not missing, missing
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_stem_without_pooling():
    assert ConvolutionBlock(4, 3, 1, 1)(tf.zeros((1, 8, 8, 1))).shape == (1, 8, 8, 4)
