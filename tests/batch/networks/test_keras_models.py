import keras
import numpy as np
import pytest

from batch import TFModel, as_blocks
from batch.networks.copies import copied
from batch.networks.freeze_by_name import layer_names
from research.benchmarks.graphs import executed_operations

CUTS = ["pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out"]
INPUTS = {"images": {"shape": (32, 32, 3)}, "labels": {"classes": 4}}


@pytest.fixture(scope="module")
def resnet():
    keras.utils.set_random_seed(0)
    return keras.applications.ResNet50(
        weights=None, input_shape=(32, 32, 3), classes=4, classifier_activation=None
    )


@pytest.fixture
def small():
    """A residual block, a pool and a classifier, as a functional model with softmax."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    stem = keras.layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    branch = keras.layers.BatchNormalization(momentum=0.9, name="norm")(stem)
    branch = keras.layers.Conv2D(4, 3, padding="same", name="conv")(branch)
    added = keras.layers.Add(name="add")([stem, branch])
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(added)
    outputs = keras.layers.Dense(3, name="head")(pooled)
    return keras.Model(inputs, outputs, name="small")


def test_the_blocks_compute_exactly_what_the_model_did(resnet):
    images = np.random.default_rng(0).normal(size=(5, 32, 32, 3)).astype(np.float32)
    blocks = as_blocks(resnet, CUTS)
    assert [block.name for block in blocks] == [*CUTS, "predictions"]
    features = images
    for block in blocks:
        features = block(features, training=False)
    expected = resnet(images, training=False)
    np.testing.assert_array_equal(features, expected)
    network = copied(blocks, (32, 32, 3))
    np.testing.assert_array_equal(network(images, training=False), expected)
    assert len(network.weights) == len(resnet.weights)


def test_training_them_is_training_the_model(small, examples):
    images, labels = examples
    model = TFModel(
        {
            "inputs": {"images": {"shape": (8, 8, 1), "classes": 3}},
            "network": as_blocks(small, ["stem", "add"]),
            "optimizer": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
        }
    )
    small.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for _ in range(3):
        expected = small.train_on_batch(images.astype(np.float32) / 255, labels)
        assert model.train(images, labels) == pytest.approx(expected, rel=1e-4)
    for ours, theirs in zip(model.network.weights, small.weights):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_frozen_prefix_is_left_out(small, examples):
    blocks = as_blocks(small, ["stem", "add"])
    inputs = {"images": {"shape": (8, 8, 1), "classes": 3}}
    operations = [
        executed_operations(
            lambda frozen=frozen: TFModel(
                {"inputs": inputs, "network": blocks, "freeze": frozen}
            ).train(*examples)
        )
        for frozen in ([], ["stem"], ["stem", "add"])
    ]
    assert [counts["Conv2DBackpropFilter"] for counts in operations] == [2, 1, 0]
    assert [counts["Conv2DBackpropInput"] for counts in operations] == [1, 1, 0]  # to norm


@pytest.mark.parametrize("mode", ["inference", "batch"])
def test_it_is_frozen_by_name_and_by_freezeout(small, examples, mode):
    blocks = as_blocks(small, ["stem", "add"])
    assert list(layer_names(blocks[1])) == ["add/norm", "add/conv"]
    model = TFModel(
        {
            "inputs": {"images": {"shape": (8, 8, 1), "classes": 3}},
            "network": blocks,
            "freeze": ["add/norm"],
            "frozen_batch_norm": mode,
            "schedule": ("FreezeOut", {"iterations": 4, "learning_rate": 0.1, "t_0": 0.5}),
        }
    )
    norm = model.network.layers[1].get_layer("norm")
    statistics = [weight.numpy() for weight in norm.weights]
    frozen = []
    for _ in range(4):
        model.train(*examples)
        frozen.append(model.frozen)
    assert frozen == [0, 1, 1, 1]  # t_0³·4 is 0.5: the stem learns in the first step alone
    for weight, value in zip(norm.weights, statistics):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_a_model_of_blocks_is_saved_and_loaded(small, examples, tmp_path):
    config = {"inputs": {"images": {"shape": (8, 8, 1), "classes": 3}}}
    model = TFModel({**config, "network": as_blocks(small, ["add"]), "freeze": ["add/stem"]})
    model.train(*examples)
    model.save(tmp_path / "model")
    loaded = TFModel({"load": {"path": tmp_path / "model"}})
    assert loaded.train(*examples) == model.train(*examples)


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        (["norm"], "small can be cut after: stem, add, pool. Received: norm"),
        (["nothing", "add"], "Received: nothing"),
        (["add", "stem"], "in their order, .* Received: add, stem"),
        (["head"], "Received: head"),
        ([], "Received: none"),
    ],
)
def test_where_it_can_not_be_cut_is_refused(small, cuts, message):
    with pytest.raises(ValueError, match=message):
        as_blocks(small, cuts)


def test_layers_that_several_blocks_would_share_are_refused():
    inputs = keras.Input((4,))
    dense = keras.layers.Dense(4, name="shared")
    first = keras.layers.ReLU(name="first")(dense(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(dense(first)))
    with pytest.raises(ValueError, match="shared is used in several blocks"):
        as_blocks(model, ["first"])


def test_a_model_may_end_in_an_operation():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(inputs) / 2)
    blocks = as_blocks(model, ["head"])
    assert blocks[0].name == "head" != blocks[1].name
    values = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(blocks[1](blocks[0](values)), model(values))


def test_other_models_are_refused(small):
    inputs = [keras.Input((2,)), keras.Input((2,))]
    two = keras.Model(inputs, keras.layers.Add()(inputs))
    with pytest.raises(ValueError, match=r"one input and one output\. .* has 2 and 1"):
        as_blocks(two, ["add"])
    with pytest.raises(ValueError, match=r"takes a functional keras\.Model"):
        as_blocks(keras.layers.Dense(2), ["add"])


def test_softmax_at_the_end_is_refused_where_logits_are_needed():
    with_softmax = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", name="p")])
    inputs = {"rows": {"shape": (4,), "classes": 3}}
    flat = keras.layers.Flatten()
    for last in (with_softmax, *with_softmax.layers, keras.layers.Softmax(name="p")):
        with pytest.raises(ValueError, match="must give logits, and p ends in softmax"):
            TFModel({"inputs": inputs, "network": [flat, last]})
