"""Every argument of every layer acts or is refused: by signature, Keras' own included."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import FadeIn, FusedBatchNormalization, StochasticDepth
from batch.networks.attention import SqueezeExcitation
from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock
from batch.networks.densenet import DenseLayer, Transition
from batch.networks.efficientnet import InvertedResidual, LinearBottleneck
from batch.networks.layers import SymmetricConv2D
from batch.networks.wide_resnet import PreActivationBlock

SHAPE = (4, 6, 6, 3)
IMAGES = np.random.default_rng(0).normal(0.5, 2.0, SHAPE).astype(np.float32)
PENALTY = {"activity_regularizer": keras.regularizers.L2(0.1)}
COMMON = {"name": "mine", "trainable": False, "dtype": "mixed_bfloat16", **PENALTY}
WITHIN = "autocast must be True: the layers within cast their inputs. Received: False"


def refused(value, sentence):
    """A value that is refused, and the sentence that says so."""
    return value, sentence


def residual(**options):
    return ResidualBlock([3, 3], seed=1, **options)


def block(**options):
    return {**COMMON, "autocast": refused(False, WITHIN), **options}


CONVOLUTIONS = {
    **{"use_bias": True, "epsilon": 0.5, "symmetric": {"symmetric": True, "strides": 2}},
}
TABLE = {  # the arguments that a layer needs, and for each of its arguments a value that acts
    ConvolutionBlock: (
        {"filters": 3, "seed": 1},
        block(
            **CONVOLUTIONS,
            filters=4,
            seed=5,
            kernel_size=5,
            strides=3,
            pool_size=2,
            normalize=False,
            activation={"normalize": False, "activation": "relu6"},
            pool_padding={"pool_size": 4, "pool_padding": "same"},
        ),
    ),
    ResidualBlock: (
        {"filters": [3, 3], "seed": 1},
        block(
            **CONVOLUTIONS,
            filters=[2, 3],
            seed=5,
            strides=2,
            stride_first={"filters": [3, 3, 3], "strides": 2, "stride_first": True},
            se_ratio=2,
        ),
    ),
    Classifier: (
        {"classes": 3, "seed": 1},
        block(classes=4, seed=5, normalize=True, dropout=0.5, hidden=[2]),
    ),
    PreActivationBlock: (
        {"filters": 3, "seed": 1},
        block(
            epsilon=0.5,
            symmetric=CONVOLUTIONS["symmetric"],
            filters=4,
            seed=5,
            strides=2,
            dropout=0.5,
            kernel_sizes=[3, 1],
        ),
    ),
    LinearBottleneck: (
        {"filters": 3, "seed": 1},
        block(filters=2, seed=5, kernel_size=5, strides=2, expansion=2),
    ),
    InvertedResidual: (
        {"filters": 3, "seed": 1},
        block(
            filters=refused(2, "filters must be the 3 channels of the inputs. Received: 2"),
            strides=refused(2, "strides must be 1, to keep the images' size. Received: 2"),
            seed=5,
            kernel_size=5,
            expansion=2,
        ),
    ),
    DenseLayer: ({"growth_rate": 2, "seed": 1}, block(growth_rate=3, seed=5, bottleneck=False)),
    SqueezeExcitation: ({"ratio": 1, "seed": 1}, block(ratio=3, seed=5)),
    Transition: ({"filters": 3, "seed": 1}, block(filters=2, seed=5)),
    StochasticDepth: (
        {"block": residual, "survival": 0.5},
        block(
            block=lambda: residual(epsilon=0.5),
            survival=1.0,
            seed=5,
            mode="sample",
            scale="train",
            warm_up=3,
            dtype=refused("mixed_bfloat16", "dtype must be that of block, float32. Received"),
        ),
    ),
    FadeIn: (
        {"new": residual, "iterations": 3},
        {
            **block(new=lambda: residual(epsilon=0.5), iterations=2, old=residual),
            "dtype": refused("mixed_bfloat16", "dtype must be that of new, float32. Received"),
        },
    ),
    FusedBatchNormalization: (
        {},
        {
            **{**COMMON, "autocast": False, "axis": 1, "momentum": 0.5, "epsilon": 0.5},
            **{"center": False, "scale": False},
            **dict.fromkeys(("beta_initializer", "gamma_initializer"), "random_normal"),
            **dict.fromkeys(("moving_mean_initializer",), "random_normal"),
            **dict.fromkeys(("moving_variance_initializer",), "random_uniform"),
            **dict.fromkeys(("beta_regularizer", "gamma_regularizer"), keras.regularizers.L2(0.1)),
            **dict.fromkeys(("beta_constraint", "gamma_constraint"), keras.constraints.NonNeg()),
            "renorm": True,
            "renorm_clipping": {"renorm": True, "renorm_clipping": {"rmax": 1.1, "dmax": 0.0}},
            "renorm_momentum": {"renorm": True, "renorm_momentum": 0.1},
            "synchronized": True,
        },
    ),
    SymmetricConv2D: (
        {"filters": 3, "kernel_size": 3, "kernel_initializer": keras.initializers.HeNormal(1)},
        {
            **{**COMMON, "autocast": False, "filters": 6, "kernel_size": 5, "strides": 2},
            "padding": refused("valid", "padding must be 'same'. Received: 'valid'"),
            "data_format": refused("channels_first", "data_format must be channels_last. Received"),
            **{"dilation_rate": 2, "groups": 3, "activation": "relu", "use_bias": False},
            **{"kernel_initializer": "zeros", "bias_initializer": "ones"},
            **dict.fromkeys(("kernel_regularizer", "bias_regularizer"), keras.regularizers.L2(0.1)),
            **dict.fromkeys(("kernel_constraint", "bias_constraint"), keras.constraints.NonNeg()),
            **{"lora_rank": 2, "lora_alpha": {"lora_rank": 2, "lora_alpha": 3.0}},
        },
    ),
}


def arguments(kind):
    """Names of all arguments of a layer: its own, and those of Keras that it passes on."""
    constructors = [base.__init__ for base in kind.__mro__ if issubclass(base, keras.layers.Layer)]
    named = {name for made in constructors for name in inspect.signature(made).parameters}
    return named - {"self", "args", "kwargs", "rank"}  # Conv2D says the rank itself


CASES = [(kind, name) for kind in TABLE for name in sorted(arguments(kind))]


def made(kind, options):
    """A layer; functions among its arguments make the layers that it takes."""
    values = {
        key: value() if inspect.isfunction(value) else value for key, value in options.items()
    }
    return kind(**{"name": "layer", **values})


def effects(kind, options):
    """All that a layer does: outputs, penalties, weights after training steps, and their kinds."""
    layer = made(kind, options)
    outputs = [layer(IMAGES, training=training) for training in (True, True, True, False)]
    try:
        narrow = layer(tf.cast(IMAGES, tf.float16), training=False).dtype.name
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        narrow = type(error).__name__
    return [
        *(layer.name, narrow, len(layer.trainable_variables)),
        *(tf.cast(output, tf.float64).numpy().tolist() for output in outputs),
        *([float(loss) for loss in layer.losses], [output.dtype.name for output in outputs]),
        [(value.numpy().tolist(), value.constraint is None) for value in layer.variables],
    ]


@pytest.mark.parametrize(
    ("kind", "name"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_every_argument_of_a_layer_acts_or_is_refused(kind, name):
    needed, table = TABLE[kind]
    assert name in table, f"{kind.__name__} has an argument {name}: say here what it does"
    value = table[name]
    if isinstance(value, tuple):
        with pytest.raises(ValueError, match=value[1]):
            made(kind, {**needed, name: value[0]}).build(SHAPE)
        return
    given = value if isinstance(value, dict) and name in value else {name: value}
    others = {key: value for key, value in given.items() if key != name}
    changed, before = effects(kind, {**needed, **given}), effects(kind, {**needed, **others})
    assert changed != before


def test_the_table_has_no_argument_that_is_gone():
    assert {(kind, name) for kind, (_, table) in TABLE.items() for name in table} == set(CASES)


@pytest.mark.parametrize("options", [{"renorm": True}, {"renorm": True, "center": False}])
@pytest.mark.parametrize("training", [True, False])
def test_renormalization_is_kerass(options, training):
    """Whole steps: outputs and statistics equal those of Keras' layer."""
    layers = [
        kind(
            momentum=0.9, renorm_momentum=0.5, renorm_clipping={"rmax": 1.5, "dmax": 2.0}, **options
        )
        for kind in (FusedBatchNormalization, keras.layers.BatchNormalization)
    ]
    for _ in range(3):
        ours, theirs = (layer(IMAGES, training=training) for layer in layers)
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(*(layer.get_weights() for layer in layers)):
        np.testing.assert_array_equal(ours, theirs)


def test_a_frozen_renormalization_by_the_batch_computes_as_before_it_froze():
    from batch.networks.batch_statistics import batch_statistics

    layer = FusedBatchNormalization(renorm=True, renorm_clipping={"rmax": 1.5, "dmax": 2.0})
    layer(IMAGES, training=True)
    before = layer.get_weights()
    with batch_statistics([layer]):
        frozen = layer(IMAGES, training=False)
    for value, expected in zip(layer.get_weights(), before):
        np.testing.assert_array_equal(value, expected)
    np.testing.assert_allclose(frozen, layer(IMAGES, training=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"renorm_clipping": {"rmax": 2.0}}, "renorm_clipping does nothing without renorm=True"),
        ({"renorm_momentum": 0.5}, "renorm_momentum does nothing without renorm=True"),
        ({"renorm": True, "renorm_clipping": {"rmin": 2.0, "rmax": 1.0}}, "rmin ≤ rmax"),
        ({"renorm": True, "renorm_clipping": {"min": 2.0}}, "a dict with rmin, rmax, dmax"),
        ({"virtual_batch_size": 2}, "virtual_batch_size"),
    ],
)
def test_what_a_normalization_can_not_do_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        FusedBatchNormalization(**options)


@pytest.mark.parametrize("kind", [kind for kind in TABLE if "seed" in TABLE[kind][1]])
def test_what_is_not_trainable_keeps_its_statistics(kind):
    layer = made(kind, {**TABLE[kind][0], "trainable": False})
    layer.build(SHAPE)
    before = layer.get_weights()
    layer(IMAGES, training=True)
    steps = [kind is StochasticDepth and value.name == "steps" for value in layer.weights]
    for value, expected, counts in zip(layer.get_weights(), before, steps):
        assert counts or np.array_equal(value, expected)
