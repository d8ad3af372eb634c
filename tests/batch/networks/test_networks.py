import numpy as np
import pytest
import tensorflow as tf

from batch import VGG, DenseNet, WideResNet
from batch.networks.densenet import DenseLayer, Transition, densenet
from batch.networks.stochastic_depth import with_stochastic_depth
from batch.networks.vgg import vgg
from batch.networks.wide_resnet import BLOCKS, PreActivationBlock, wide_resnet
from research import names

SHAPE = (32, 32, 3)


def parameters(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)


def shapes(network):
    return list(dict.fromkeys(tuple(layer.output.shape[1:3]) for layer in network.layers[:-1]))


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
def test_densenets_have_the_published_sizes(depth, growth_rate, options, count, blocks):
    network = densenet(SHAPE, 10, depth, growth_rate, **options)
    assert parameters(network) == count
    assert len(network.layers) == blocks + 1
    assert shapes(network) == [(32, 32), (16, 16), (8, 8)]


@pytest.mark.parametrize(
    ("depth", "widen_factor", "millions"),
    # As published; WRN-16-4 by hand: 432 + 121,248 + 525,184 + 2,098,944 + 512 + 2,570.
    [(40, 4, 8.9), (28, 10, 36.5), (22, 8, 17.2), (16, 8, 11.0), (16, 4, 2.7)],
)
def test_wide_resnets_have_the_published_sizes(depth, widen_factor, millions):
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
def test_types_of_blocks_have_the_published_sizes(block, depth, millions):
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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: densenet(SHAPE, 10, 75), r"6n \+ 4 with bottlenecks. Received: 75"),
        (lambda: densenet(SHAPE, 10, 41, bottleneck=False), r"3n \+ 4 without bottlenecks"),
        (lambda: densenet(SHAPE, 10, growth_rate=0), "growth_rate must be 1 or more"),
        (lambda: densenet(SHAPE, 10, compression=1.5), "compression must be above 0"),
        (lambda: wide_resnet(SHAPE, 10, 30), r"6n \+ 4, as 16, 28 or 40. Received: 30"),
        (lambda: wide_resnet(SHAPE, 10, 16, 0), "widen_factor must be 1 or more"),
        (lambda: wide_resnet(SHAPE, 10, 16, 1, block="B(3)"), r"one of B\(3,3\), .*: 'B\(3\)'"),
        (lambda: vgg(SHAPE, 10, "C"), "one of A, B, D, E, or 11, 13, 16, 19. Received: 'C'"),
        (lambda: with_stochastic_depth(vgg((8, 8, 3), 3, "A").layers, 0.5), "needs residual"),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (DenseNet, {"depth": 10, "growth_rate": 4}),
        (WideResNet, {"depth": 10, "widen_factor": 1, "dropout": 0.3}),
        *((WideResNet, {"depth": 10, "block": block}) for block in list(BLOCKS)[1:]),
        (VGG, {"depth": "A"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_blocks_freeze_and_the_model_is_saved(model, options, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, 12)
    freezing = {"iterations": 6, "learning_rate": 0.01, "t_0": 0.3, "degree": 1}
    net = model(
        {
            "inputs": {"images": {"shape": (8, 8, 3)}, "labels": {"classes": 3}},
            "schedule": ("FreezeOut", freezing),
            "optimizer": ("SGD", {"momentum": 0.9, "nesterov": True}),
            "weight_decay": 1e-3,
            "augment": {"pad": 1, "flip": True},
            "normalize": {"mean": [0.5] * 3, "std": [0.25] * 3},
            **options,
        }
    )
    for _ in range(4):
        net.train(images, labels)
    before = [layer.get_weights() for layer in net.network.layers]
    net.train(images, labels)
    after = [layer.get_weights() for layer in net.network.layers]
    changed = [
        any(not np.array_equal(first, second) for first, second in zip(*pair))
        for pair in zip(before, after)
    ]
    assert net.frozen >= 2
    assert changed == [block >= net.frozen for block in range(len(changed))]
    net.save(tmp_path / "model")
    loaded = model({"load": {"path": tmp_path / "model"}})
    np.testing.assert_array_equal(loaded.predict(images), net.predict(images))
    assert loaded.config["augment"] == {"pad": 1, "flip": True}
    goes_on = [model.train(images, labels) for model in (net, loaded)]  # with the same dropout
    assert goes_on[0] == goes_on[1]
