import keras
import pytest

from batch import FadeIn, FusedBatchNormalization, StochasticDepth, as_blocks, faded_in
from batch.networks import (
    attention,
    blocks,
    densenet,
    efficientnet,
    fade_in,
    from_torch,
    layers,
    resnet,
    state_dict,
    stochastic_depth,
    vgg,
    wide_resnet,
)
from batch.networks.attention import SqueezeExcitation
from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock
from batch.networks.stochastic_depth import survival_probabilities, with_stochastic_depth

MODULES = (
    attention,
    blocks,
    densenet,
    efficientnet,
    fade_in,
    from_torch,
    layers,
    resnet,
    state_dict,
    stochastic_depth,
    vgg,
    wide_resnet,
)
NETWORKS = (densenet, efficientnet, resnet, vgg, wide_resnet)
IMAGES = {"input_shape": (8, 8, 1), "classes": 3}


def functional():
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(2, name="last")(keras.layers.Dense(3, name="first")(inputs))
    return keras.Model(inputs, outputs)


def wide():
    blocks = [wide_resnet.PreActivationBlock(4), Classifier(2, normalize=True)]
    return keras.Sequential([keras.Input((8, 8, 1)), layers.convolution(4, 3), *blocks])


def residual():
    return ResidualBlock([4, 4])


MODEL = functional()
CALLS = {
    "ConvolutionBlock": (ConvolutionBlock, {"filters": 4}),
    "ResidualBlock": (ResidualBlock, {"filters": [4, 4]}),
    "SqueezeExcitation": (SqueezeExcitation, {"ratio": 4}),
    "Classifier": (Classifier, {"classes": 3}),
    "PreActivationBlock": (wide_resnet.PreActivationBlock, {"filters": 4}),
    "DenseLayer": (densenet.DenseLayer, {"growth_rate": 4}),
    "Transition": (densenet.Transition, {"filters": 4}),
    "LinearBottleneck": (efficientnet.LinearBottleneck, {"filters": 4}),
    "InvertedResidual": (efficientnet.InvertedResidual, {"filters": 4}),
    "FusedBatchNormalization": (FusedBatchNormalization, {}),
    "SymmetricConv2D": (layers.SymmetricConv2D, {"filters": 4, "kernel_size": 3}),
    "StochasticDepth": (StochasticDepth, lambda: {"block": residual()}),
    "StochasticDepth.survives": (StochasticDepth(residual()).survives, {"steps": [0, 1]}),
    "survival_probabilities": (survival_probabilities, {"blocks": 4}),
    "with_stochastic_depth": (
        with_stochastic_depth,
        lambda: {"layers": [residual()], "survival": 0.5},
    ),
    "FadeIn": (FadeIn, lambda: {"new": residual(), "iterations": 3}),
    "faded_in": (faded_in, lambda: {"layers": [residual()]}),
    "from_torch": (
        from_torch.from_torch,
        lambda: {"state_dict": {}, "network": wide()},
    ),
    "modules": (state_dict.modules, {"state_dict": {}}),
    "as_blocks": (as_blocks, lambda: {"model": MODEL, "cuts": ["first"]}),
    "small_resnet": (resnet.small_resnet, IMAGES),
    "resnet": (resnet.resnet, {"depth": 18, **IMAGES}),
    "wide_resnet": (wide_resnet.wide_resnet, {**IMAGES, "depth": 10, "widen_factor": 1}),
    "densenet": (densenet.densenet, {**IMAGES, "depth": 10, "growth_rate": 4}),
    "vgg": (vgg.vgg, IMAGES),
    "efficientnet_lite0": (efficientnet.efficientnet_lite0, IMAGES),
}
INTERNAL = {
    **dict.fromkeys(
        ("batch_norm", "build_in_order", "convolution", "make_seeds", "run", "sequence"),
        "called by our networks alone, with arguments that they checked",
    ),
    **dict.fromkeys(("takes_training", "is_residual"), "questions about any object"),
    "Block": "the base of our layers",
    "move": "called with the arrays that `modules` checked",
    **dict.fromkeys(("read_state_dict", "imagenet_weights"), "they need packages: test_from_torch"),
}
NUMBER = {"a half": "a number"}
FLAG = {"True": "true or false"}
OPTIONAL = {"None": "none, the default"}
PROBABILITY = {**NUMBER, "zero": "a probability"}
INITIAL = dict.fromkeys(
    ("array of negatives", "array of length 7"), "an initial value, whose shape Keras checks"
)
ACCEPTED = {
    "modules.state_dict": {"empty dict": "no modules"},
    "epsilon": {**PROBABILITY, "huge whole": "float32 holds it, and Keras takes it"},
    "seed": {"None": "drawn anew, as by Keras and NumPy", "zero": "a seed"},
    "StochasticDepth.seed": {"zero": "a seed"},
    "with_stochastic_depth.seed": {"zero": "a seed"},
    **dict.fromkeys(("dropout", "survival", "last", "momentum", "renorm_momentum"), PROBABILITY),
    "FusedBatchNormalization.renorm_momentum": {},  # without renorm
    **{f"{name}.scale": {} for name in ("StochasticDepth", "with_stochastic_depth")},  # a text
    "StochasticDepth.survives.steps": {
        **dict.fromkeys(("empty list", "empty array"), "no steps"),
        "array of length 7": "whole numbers",
    },
    "hidden": {
        **dict.fromkeys(("empty list", "empty array"), "no hidden layers, the default"),
        "array of length 7": "whole numbers",
    },
    **dict.fromkeys(("se_ratio", "num_blocks"), OPTIONAL),
    "resnet.filters": {"None": "the published ones, the default"},
    "cuts": {"None": "where the blocks end, the default"},
    "compression": NUMBER,
    "warm_up": {"zero": "no warm-up, the default"},
    "axis": {"minus one": "the last axis", "zero": "the first axis"},
    **dict.fromkeys(
        ("symmetric", "use_bias", "stride_first", "bottleneck", "normalize", "batch_normalization"),
        FLAG,
    ),
    **dict.fromkeys(("center", "scale", "renorm", "synchronized"), FLAG),
    "renorm_clipping": {**OPTIONAL, "empty dict": "no limit"},
    **dict.fromkeys(("gamma_regularizer", "beta_regularizer"), OPTIONAL),
    **dict.fromkeys(("gamma_constraint", "beta_constraint", "old"), OPTIONAL),
    **dict.fromkeys(("gamma_initializer", "beta_initializer"), INITIAL),
    **dict.fromkeys(("moving_mean_initializer", "moving_variance_initializer"), INITIAL),
}


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch):
    """Networks are the list of their layers: all arguments are checked before they are built."""
    for module in NETWORKS:
        monkeypatch.setattr(module, "sequence", lambda *arguments: arguments)


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)


def test_numpys_numbers_are_numbers(case, call_with_numpys):
    call_with_numpys(case)


def test_every_public_call_is_in_the_table(missing_calls):
    assert not missing_calls
