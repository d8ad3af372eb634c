import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import DenseNet, EfficientNetLite0, ResNet, TFModel, WideResNet
from batch.networks.keras_settings import check_defaults

OPTIMIZER = ("SGD", {"learning_rate": 0.1, "momentum": 0.9})
INPUTS = {"images": {"shape": (6,)}, "labels": {"classes": 3}}
PICTURES = {"images": {"shape": (8, 8, 3)}, "labels": {"classes": 3}}
L = keras.layers


@pytest.fixture(autouse=True)
def settings_come_back():
    yield
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    tf.config.run_functions_eagerly(False)
    tf.config.set_soft_device_placement(True)
    tf.config.optimizer.set_jit(False)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 6)).astype(np.float32), rng.integers(0, 3, 30)


def own_layers():
    return [L.Dense(5, "tanh"), L.BatchNormalization(), L.Dense(3)]


def trained(rows):
    """Losses of layers of the user's own, made under the settings that are in force."""
    keras.utils.set_random_seed(1)
    model = TFModel({"inputs": INPUTS, "network": own_layers(), "optimizer": OPTIMIZER})
    return [model.train(*rows) for _ in range(3)]


@pytest.mark.parametrize(
    ("policy", "tolerance"),  # some steps of the last bit of a weight
    [("mixed_bfloat16", 1e-6), ("bfloat16", 0.02), ("float16", 4e-3), ("float64", 1e-6)],
)
def test_layers_of_ones_own_train_under_their_policy_as_in_keras(rows, policy, tolerance):
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(policy)
    layers = own_layers()
    stock = keras.Sequential([keras.Input((6,)), *layers])
    model = TFModel({"inputs": INPUTS, "network": layers, "optimizer": OPTIMIZER})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    stock.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
    for _ in range(20):
        model.train(*rows)
        stock.train_on_batch(*rows)
    for ours, theirs in zip(model.network.get_weights(), stock.get_weights()):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours.astype(float), theirs.astype(float), atol=tolerance)


SETTINGS = {
    "epsilon": lambda: keras.config.set_epsilon(1e-2),
    "layout": lambda: keras.config.set_image_data_format("channels_first"),
    "eager": lambda: tf.config.run_functions_eagerly(True),
    "placement": lambda: tf.config.set_soft_device_placement(False),
    "jit": lambda: tf.config.optimizer.set_jit("autoclustering"),
}


@pytest.fixture(scope="module")
def usual(rows):
    return trained(rows)


@pytest.mark.parametrize("name", SETTINGS)
def test_other_settings_change_no_loss(rows, usual, name):
    SETTINGS[name]()
    assert trained(rows) == pytest.approx(usual, rel=1e-6)


NETWORKS = {
    ResNet: {},
    WideResNet: {"depth": 10, "widen_factor": 1},
    DenseNet: {"depth": 10, "growth_rate": 2},
    EfficientNetLite0: {},
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_our_networks_have_their_channels_last_whatever_keras_says(kind):
    config = {"inputs": PICTURES, **NETWORKS[kind]}
    keras.config.set_image_data_format("channels_first")
    network = kind(config).network
    assert network.output_shape == (None, 3)
    layouts = {getattr(part, "data_format", None) for part in network._flatten_layers()}
    assert layouts == {"channels_last", None}


def test_our_blocks_compute_the_same_with_channels_first(blocks, examples):
    images = np.float32(examples[0][:5]) / 255
    usual = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    keras.config.set_image_data_format("channels_first")
    other = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    np.testing.assert_array_equal(other(images), usual(images))


def model_of(*layers, kind=TFModel, inputs=PICTURES):
    return kind({"inputs": inputs, **({"network": list(layers)} if layers else {})})


def in_a_graph():
    with tf.Graph().as_default():
        model_of(kind=ResNet)


@pytest.mark.parametrize("floatx", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", [ResNet, WideResNet])
def test_another_floatx_is_refused(kind, floatx):
    keras.config.set_floatx(floatx)
    with pytest.raises(ValueError, match=f"floatx must be 'float32'.*Received: '{floatx}'"):
        model_of(kind=kind)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16", "float16", "float64"])
def test_our_networks_refuse_a_policy(policy):
    keras.config.set_dtype_policy(policy)
    with pytest.raises(ValueError, match=f"'precision' says.* must be float32 .*'{policy}'"):
        model_of(kind=ResNet)


@pytest.mark.parametrize("policy", ["mixed_float16", "int8_from_float32"])
def test_what_no_layers_can_be_trained_in_is_refused(policy):
    keras.config.set_dtype_policy(policy)
    with pytest.raises(ValueError, match=f"dtype policy must be .*Received: '{policy}'"):
        model_of(*own_layers(), inputs=INPUTS)


def test_a_graph_of_tensorflow_1_is_refused():
    with pytest.raises(ValueError, match="eager execution, which is off"):
        in_a_graph()


@pytest.mark.parametrize(
    "block",
    [
        lambda: L.Conv2D(4, 3),
        lambda: L.MaxPooling2D(2),
        lambda: keras.Sequential([L.ReLU(), L.SeparableConv2D(2, 3)]),
    ],
)
def test_layers_for_channels_first_are_refused(block):
    keras.config.set_image_data_format("channels_first")
    with pytest.raises(ValueError, match=r"takes images \(C, H, W\), and ours are \(H, W, C\)"):
        model_of(block(), L.Flatten(), L.Dense(3))
    model_of(L.Permute((3, 1, 2)), block(), L.Flatten(), L.Dense(3))
    model_of(L.Flatten(), L.Dense(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: keras.config.set_image_data_format("channels_first"), "'channels_last'"),
        (lambda: keras.config.set_dtype_policy("mixed_bfloat16"), "must be float32"),
        (lambda: keras.config.set_floatx("float64"), "must be 'float32'"),
    ],
)
def test_benchmarks_are_measured_under_defaults(change, message):
    check_defaults()
    change()
    with pytest.raises(ValueError, match=message):
        check_defaults()
