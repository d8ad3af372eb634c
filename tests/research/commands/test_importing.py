"""What weights tell of their network, for every program whose names are known."""

import numpy as np
import pytest

from batch.networks import from_torch as programs
from batch.networks.densenet import densenet
from batch.networks.efficientnet import efficientnet_lite0
from batch.networks.resnet import DEPTHS, resnet
from batch.networks.vgg import vgg
from batch.networks.wide_resnet import BLOCKS, wide_resnet
from research.commands import importing

ANY, SMALL = (None, None, 3), (32, 32, 3)
SUFFIXES = ("weight", "bias", "running_mean", "running_var")


def state_of(network, number):
    """Random weights of a network, by the names of one of the programs for its kind."""
    rng = np.random.default_rng(0)
    named = [list(program(network.layers)) for program in programs.PROGRAMS]
    state = {}
    for layer, name in [pairs for pairs in named if pairs][number]:
        for suffix, weight in zip(SUFFIXES, layer.weights):
            axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(weight.ndim, (0,))
            if "depthwise" in layer.name:
                axes = (2, 3, 0, 1)
            shape = [weight.shape[axis] for axis in np.argsort(axes)]
            state[f"{name}.{suffix}"] = rng.uniform(0.5, 1, shape).astype(np.float32)
    return state


def imported(monkeypatch, state, *arguments, **options):
    monkeypatch.setattr(importing, "read_state_dict", lambda _: state)
    return importing.import_network("w.pth", *arguments, **options)


def wide(shape=ANY, classes=5, depth=10, widen_factor=1, **options):
    return wide_resnet(shape, classes, depth, widen_factor, symmetric=True, **options)


CASES = {  # model, a network of it, number of the program
    "wrn16_2": ("wideresnet", lambda: wide(depth=16, widen_factor=2), 0),
    "zagoruyko": ("wideresnet", lambda: wide(), 1),
    "gray": ("wideresnet", lambda: wide((None, None, 1), 100), 0),
    "amos": ("densenet", lambda: densenet(ANY, 5, 16, 4), 0),
    "veit": ("densenet", lambda: densenet(ANY, 5, 10, 6, compression=0.7), 1),
    "pleiss": ("densenet", lambda: densenet(ANY, 5, 10, 5), 2),
    "plain": ("densenet", lambda: densenet(ANY, 5, 10, 3, bottleneck=False, compression=1.0), 0),
    "vgg11": ("vgg", lambda: vgg((64, 64, 3), 5, 11, use_bias=True, hidden=(8, 6)), 0),
    "resnet18": ("resnet18", lambda: resnet(18, ANY, 5), 0),
    "lite0": ("efficientnetlite0", lambda: efficientnet_lite0(ANY, 5), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_weights_tell_of_their_network(name, monkeypatch):
    model, make, number = CASES[name]
    network = make()
    state = state_of(network, number)
    made, lines = imported(monkeypatch, state, model, {})
    assert (made.name, made.input_shape) == (network.name, network.input_shape)
    images = np.random.default_rng(0).normal(size=(1, 64, 64, network.input_shape[-1]))
    programs.from_torch(state, network)
    np.testing.assert_array_equal(made(images), network(images))
    assert lines[0].startswith(f"network: {model}")
    assert lines[2].endswith(f"; {len(state)} tensors moved")


@pytest.mark.parametrize("block", BLOCKS)
def test_weights_tell_the_type_of_wide_blocks(block, monkeypatch):
    state = state_of(wide(block=block), 1)
    made, lines = imported(monkeypatch, state, "wideresnet", {"dropout": 0.25})
    assert made.layers[1].config["kernel_sizes"] == list(BLOCKS[block])
    assert made.layers[1].config["dropout"] == 0.25
    assert lines[0] == (
        f"network: wideresnet, depth 10, widen_factor 1, block {block}, dropout 0.25"
    )


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_depth_of_a_resnet_shows_in_its_names(depth):
    stages, convolutions = DEPTHS[depth]
    arrays = {
        f"layer{stage}.{block}.conv{number + 1}": {"weight": np.zeros((1, 1, 3, 3))}
        for stage, count in enumerate(stages, 1)
        for block in range(count)
        for number in range(convolutions)
    }
    assert importing._resnet(arrays) == {"model": f"resnet{depth}"}


WIDE = state_of(wide(), 0)
NO_SIZE = state_of(vgg(SMALL, 5, 11), 0)
WITH_SIZE = {  # of the paper's network for images of 224×224, as far as they are read
    **{name: value for name, value in NO_SIZE.items() if "features" in name},
    "classifier.0.weight": np.zeros((8, 512 * 49), np.float32),
    "classifier.3.weight": np.zeros((5, 8), np.float32),
}


def test_what_is_given_and_agrees_is_taken(monkeypatch):
    options = {"depth": 10, "widen_factor": 1, "block": "B(3,3)"}
    made, lines = imported(monkeypatch, WIDE, "wideresnet", options, 5, (32, 48))
    assert made.input_shape == (None, 32, 48, 3)
    assert lines == [
        "network: wideresnet, depth 10, widen_factor 1, block B(3,3)",
        "images: 32×48×3, 5 classes",
        "parameters: 77,525; 39 tensors moved",
    ]
    made, _ = imported(monkeypatch, NO_SIZE, "vgg", {"depth": 11}, None, SMALL)
    assert made.input_shape == (None, *SMALL)


def without(start, state=WIDE):
    return {name: value for name, value in state.items() if not name.startswith(start)}


@pytest.mark.parametrize(
    ("state", "model", "given", "message"),
    [
        (WIDE, "resnet18", {}, "--model resnet18 does not fit w.pth, which has model wideresnet"),
        (WIDE, "wideresnet", {"depth": 16}, "--depth 16 does not fit w.pth, which has depth 10"),
        (WIDE, "wideresnet", {"classes": 10}, "--classes 10 does not fit .* has classes 5"),
        (WIDE, "wideresnet", {"image_shape": (32, 32, 1)}, "32×32×1 does not fit .* any×any×3"),
        (NO_SIZE, "vgg", {}, "w.pth does not tell the size of its images: give --image-shape"),
        (NO_SIZE, "vgg", {"image_shape": (48, 48)}, "pools images of .3, 3., and of an odd one"),
        (NO_SIZE, "vgg", {"depth": "B"}, "--depth B does not fit w.pth, which has depth A"),
        (WITH_SIZE, "vgg", {"image_shape": (32, 32)}, "--image-shape 32×32 .* has 224×224×3"),
        (without("block3"), "wideresnet", {}, "it lacks block3.layer.0.bn1, .*, …"),
        (without("fc"), "wideresnet", {}, "w.pth has no kernel of the last dense layer"),
        (without("conv1"), "wideresnet", {}, "w.pth has no kernel of the first convolution"),
        ({**WIDE, "fc.bias": np.zeros(6)}, "wideresnet", {}, r"has weights .* but fc .*\(6,\)"),
        (
            {**WIDE, "block1.layer.0.conv1.weight": np.zeros((17, 16, 3, 3))},
            *("wideresnet", {}, "w.pth does not tell its widen_factor: give --widen-factor"),
        ),
        (
            {**WIDE, "bn1.weight": np.full(64, np.nan)},
            "wideresnet",
            {},
            "bn1.weight must be finite",
        ),
        (
            {"a.weight": np.ones(2)},
            *("vgg", {}, r"no program that is known. Received: 1 modules, as \['a'\]"),
        ),
        ({}, "vgg", {}, "no program that is known. Received: 0 modules"),
    ],
)
def test_weights_that_do_not_fit_are_refused(state, model, given, message, monkeypatch):
    options = {name: given[name] for name in given if name == "depth"}
    others = {name: given[name] for name in given if name != "depth"}
    with pytest.raises(ValueError, match=message):
        imported(monkeypatch, state, model, options, **others)
