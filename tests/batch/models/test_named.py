import keras
import numpy as np
import pytest

from batch import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152, StochasticResNet
from batch.models.named import MODELS
from batch.networks.keras_models import CHOICES, take_weights
from batch.networks.resnet import resnet
from batch.networks.stochastic_depth import with_stochastic_depth

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


@pytest.mark.parametrize(
    ("depth", "blocks", "millions"),
    [(18, 8, 11.69), (34, 16, 21.80), (50, 16, 25.56), (101, 33, 44.55), (152, 50, 60.19)],
)
def test_published_sizes(depth, blocks, millions):
    network = resnet(depth, (224, 224, 3), 1000)
    parameters = sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)
    assert round(parameters / 1e6, 2) == millions
    assert len(network.layers) == blocks + 2
    expansion = 1 if depth < 50 else 4
    shapes = dict.fromkeys(tuple(layer.output.shape[1:]) for layer in network.layers[1:-1])
    sizes = [(56, 64), (28, 128), (14, 256), (7, 512)]
    assert list(shapes) == [(size, size, width * expansion) for size, width in sizes]
    assert network.layers[0].output.shape == (None, 56, 56, 64)


def test_any_size_and_any_number_of_classes():
    network = resnet(18, (19, 33, 2), 4)
    assert network(np.zeros((2, 19, 33, 2), np.float32)).shape == (2, 4)


def test_no_other_depths():
    with pytest.raises(ValueError, match=r"one of 18, 34, 50, 101, 152\. Received: 20"):
        resnet(20, (32, 32, 3), 10)


@pytest.fixture(scope="module")
def applications():
    """A ResNet50 of keras.applications whose weights and statistics are not the initial ones."""
    model = keras.applications.ResNet50(weights=None, classes=7, classifier_activation=None)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        noise = rng.normal(size=weight.shape) * (0.03 if weight.path.endswith("kernel") else 0.1)
        positive = weight.path.endswith(("gamma", "variance"))
        weight.assign(np.abs(1 + noise) if positive else noise)
    return model


@pytest.mark.parametrize("dropping", [False, True])
def test_with_the_weights_of_keras_applications_it_computes_the_same(applications, dropping):
    network = resnet(50, (224, 224, 3), 7, **CHOICES)
    if dropping:
        layers = with_stochastic_depth(network.layers, 0.5, scale="train")
        network = keras.Sequential([keras.Input((224, 224, 3)), *layers])
    take_weights(network, applications)
    images = np.random.default_rng(1).random((2, 224, 224, 3)).astype(np.float32)
    expected = np.asarray(applications(images))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(network(images), expected, atol=1e-4, rtol=0)


def test_networks_that_do_not_fit_are_refused(applications):
    with pytest.raises(ValueError, match=r"must be made with .* stem has \{'use_bias': True, 'eps"):
        take_weights(resnet(18, (32, 32, 3), 7, use_bias=True), applications)
    with pytest.raises(ValueError, match="resnet50 has 16 blocks, the network 8"):
        take_weights(resnet(18, (32, 32, 3), 7, **CHOICES), applications)
    network = resnet(50, (32, 32, 3), 10, **CHOICES)
    before = network.layers[0].get_weights()
    with pytest.raises(ValueError, match=r"10.* but predictions of resnet50 .*7"):
        take_weights(network, applications)
    assert np.array_equal(network.layers[0].get_weights()[0], before[0])


def test_models_by_name():
    classes = (ResNet18, ResNet34, ResNet50, ResNet101, ResNet152)
    assert [MODELS[f"resnet{depth}"] for depth in (18, 34, 50, 101, 152)] == list(classes)
    assert [len(model.make_network(model, (8, 8, 1), 3, 0).layers) for model in classes[:2]] == [
        10,
        18,
    ]


def test_options_at_the_top_of_the_config():
    model = ResNet18({"inputs": INPUTS, "use_bias": True, "epsilon": 1e-4})
    assert model.network.layers[0].convolution.use_bias
    assert model.network.layers[1].normalizations[0].epsilon == 1e-4
    with pytest.raises(ValueError, match="Unknown key in the config of ResNet18: depth"):
        ResNet18({"inputs": INPUTS, "depth": 34})
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    with pytest.raises(ValueError, match="Give 'network' or use_bias, not both"):
        ResNet18({"inputs": INPUTS, "use_bias": True, "network": layers})


def test_stochastic_resnet_falls_to_06():
    model = StochasticResNet({"inputs": INPUTS, "depth": 18})
    survivals = [layer.survival for layer in model.network.layers[1:-1]]
    np.testing.assert_allclose(survivals, 1 - np.arange(1, 9) / 8 * 0.4)
    plain = ResNet18({"inputs": INPUTS})
    for value, expected in zip(
        model.network.trainable_variables, plain.network.trainable_variables
    ):
        np.testing.assert_array_equal(value, expected)
    whole = StochasticResNet({"inputs": INPUTS, "depth": 18, "survival": 1})
    assert not hasattr(whole.network.layers[1], "survival")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"survival": 2}, "survival must be a number from 0 to 1. Received: 2"),
        ({"survival": 0.5, "rule": "cubic"}, "rule must be linear or uniform"),
        ({"depth": 20}, "depth must be one of"),
    ],
)
def test_bad_options_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        StochasticResNet({"inputs": INPUTS, **config})


def test_rules_without_survival_are_refused():
    with pytest.raises(ValueError, match="mode: without 'survival' no branch is ever dropped"):
        ResNet18({"inputs": INPUTS, "mode": "sample"})
