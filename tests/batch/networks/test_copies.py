import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import VGG, Discriminative, ResNet, TFModel, WideResNet, as_blocks
from batch.models.network import read_layers
from batch.networks.blocks import Classifier
from batch.networks.copies import with_new_classifier

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
OTHER = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 5}}


@pytest.fixture(scope="module")
def base(blocks, drawn):
    layers = blocks()
    for layer, name in zip(layers, ("stem", "block0", "block1", "classifier")):
        layer.name = name
    model = TFModel({"inputs": INPUTS, "network": layers, "learning_rate": 0.05})
    for _ in range(5):
        model.train(*drawn)
    return model


def saved(base, folder, kind):
    if kind == "network":
        base.network.save(folder / "base.keras")
        return folder / "base.keras"
    if kind == "model":
        base.save(folder / "base")
        return str(folder / "base")
    return base.network if kind == "sequential" else base.network.layers


@pytest.mark.parametrize("kind", ["network", "model", "sequential", "layers"])
def test_a_base_gives_its_blocks_and_a_new_classifier(base, examples, tmp_path, kind):
    source = saved(base, tmp_path, kind)
    model = TFModel({"inputs": OTHER, "base": source, "freeze": ["stem|block.*"], "seed": 1})
    *blocks, classifier = model.network.layers
    assert (type(classifier), classifier.dense.units) == (Classifier, 5)
    for ours, theirs in zip(blocks, base.network.layers):
        assert ours is not theirs
        for mine, other in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(mine.numpy(), other.numpy())
    before = [weight.numpy() for block in blocks for weight in block.weights]
    loss = model.train(*examples)
    assert model.train(*examples) < loss
    assert model.frozen == 3
    after = [weight.numpy() for block in blocks for weight in block.weights]
    assert all(np.array_equal(*pair) for pair in zip(before, after))
    kept = TFModel({"inputs": INPUTS, "network": source})
    np.testing.assert_array_equal(kept.predict(examples[0]), base.predict(examples[0]))


def test_a_base_is_read_once_and_reset_to(base, examples, tmp_path):
    path = saved(base, tmp_path, "network")
    model = TFModel({"inputs": OTHER, "base": path})
    start = model.predict(examples[0])
    path.unlink()
    model.train(*examples)
    model.save(tmp_path / "tuned")
    model.reset()
    np.testing.assert_array_equal(model.predict(examples[0]), start)
    loaded = TFModel({"load": {"path": tmp_path / "tuned"}})
    assert loaded.iteration == 1


def test_the_config_that_made_a_tuned_model_opens_it_too(base, examples, tmp_path):
    path = saved(base, tmp_path, "network")

    def loss(labels, logits):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    config = {"inputs": OTHER, "base": path, "loss": loss}
    model = TFModel(config)
    model.train(*examples)
    model.save(tmp_path / "tuned")
    path.unlink()
    loaded = TFModel({**config, "load": {"path": tmp_path / "tuned"}})
    assert loaded.train(*examples) == model.train(*examples)


def test_a_model_made_of_another_is_reset_to_what_that_was_then(base, examples):
    model = TFModel({"inputs": INPUTS, "network": base.network})
    start = model.predict(examples[0])
    base.train(*examples)
    model.reset()
    np.testing.assert_array_equal(model.predict(examples[0]), start)


def test_a_base_that_ends_in_a_model_of_several_layers_keeps_them_all():
    flat = keras.layers.Flatten()
    head = keras.Sequential([keras.Input((64,)), keras.layers.Dense(4), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="must end in a Classifier or a dense layer"):
        TFModel({"inputs": INPUTS, "base": [flat, head]})
    head = keras.Sequential([keras.Input((64,)), keras.layers.Dense(4, name="last")])
    tuned = TFModel({"inputs": INPUTS, "base": [flat, head]})
    assert [layer.name for layer in tuned.network.layers][1] == "last"


def test_what_was_frozen_in_the_base_is_not_in_what_is_made_of_it(base, examples, tmp_path):
    frozen = TFModel({"inputs": INPUTS, "network": base.network.layers, "freeze": ["stem"]})
    frozen.network.save(tmp_path / "base.keras")
    model = TFModel({"inputs": OTHER, "base": tmp_path / "base.keras"})
    assert model.trainer.plan.learns == [True] * 4


def test_fine_tuning_in_two_phases(base, examples):
    images, labels = examples
    labels = (labels + 1) % 3
    first = TFModel({"inputs": INPUTS, "base": base.network, "freeze": ["stem|block.*"]})
    for _ in range(3):
        first.train(images, labels)
    second = TFModel(
        {
            "inputs": INPUTS,
            "network": first.network,
            "freeze": ["stem"],
            "inference_mode": ["block.*"],
            "schedule": ("Discriminative", {"learning_rate": 0.02, "factor": 2}),
            "optimizer": "SGD",
        }
    )
    np.testing.assert_array_equal(second.predict(images), first.predict(images))
    statistics = [w.numpy() for layer in second.network.layers for w in layer.non_trainable_weights]
    # Nothing is normalized by the batch: what it trains on is what it predicts.
    assert second.train(images, labels) == pytest.approx(
        first.predict(images, labels, fetches="loss"), rel=1e-5
    )
    np.testing.assert_allclose(second.trainer.rates, [0, 0.01, 0.02, 0.02])
    after = [w.numpy() for layer in second.network.layers for w in layer.non_trainable_weights]
    assert all(np.array_equal(*pair) for pair in zip(statistics, after))
    assert second.frozen == 1


@pytest.mark.parametrize("kind", [ResNet, VGG, WideResNet])
def test_networks_of_ours_and_of_keras_are_bases(kind):
    options = {"depth": 10, "widen_factor": 1} if kind is WideResNet else {}
    inputs = {"images": {"shape": (32, 32, 3)}, "labels": {"classes": 3}}
    own = kind({"inputs": inputs, **options})
    tuned = TFModel(
        {"inputs": {"images": {"shape": (32, 32, 3), "classes": 7}}, "base": own.network}
    )
    assert tuned.network.output_shape == (None, 7)


def test_functional_models_are_bases_by_their_blocks():
    image = keras.Input((8, 8, 1))
    features = keras.layers.Flatten(name="flat")(keras.layers.Conv2D(2, 3, name="c")(image))
    model = keras.Model(image, keras.layers.Dense(4, "softmax", name="d")(features))
    blocks = as_blocks(model, ["c"])  # the last of which flattens too
    with pytest.raises(ValueError, match="must end in a Classifier or a dense layer"):
        TFModel({"inputs": INPUTS, "base": blocks})
    tuned = TFModel({"inputs": INPUTS, "base": as_blocks(model, ["c", "flat"])})
    assert tuned.network.output_shape == (None, 3)


def test_a_new_classifier_is_of_the_same_kind_and_of_its_seed():
    layers = [keras.layers.Flatten(), keras.layers.Dense(4, use_bias=False, name="head")]
    first, same, other = (with_new_classifier(layers, 6, seed)[-1] for seed in (0, 0, 1))
    for dense in (first, same, other):
        dense.build((None, 3))
    assert (first.units, first.use_bias, first.name) == (6, False, "head")
    np.testing.assert_array_equal(first.kernel.numpy(), same.kernel.numpy())
    assert np.any(first.kernel.numpy() != other.kernel.numpy())


def test_what_is_no_network_is_refused(tmp_path, blocks):
    (tmp_path / "text").write_text("no network")
    for source in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(ValueError, match="is no file of a network of blocks"):
            read_layers(source)
    with pytest.raises(ValueError, match=r"a keras\.Sequential, or a list of Keras layers, a b"):
        TFModel({"inputs": INPUTS, "network": [1, 2]})
    with pytest.raises(ValueError, match="a block and a classifier at least"):
        TFModel({"inputs": INPUTS, "base": []})
    trained = WideResNet(
        {"inputs": {"images": {"shape": (8, 8, 3), "classes": 3}}, "depth": 10, "widen_factor": 1}
    )
    with pytest.raises(ValueError, match=r"was made for other images than .* \(8, 8, 1\)"):
        TFModel({"inputs": INPUTS, "base": trained.network})
    with pytest.raises(ValueError, match="Give 'network' or 'base', not both"):
        TFModel({"inputs": INPUTS, "network": blocks(), "base": blocks()})
    with pytest.raises(ValueError, match="Give 'network' or depth, not both"):
        WideResNet({"inputs": INPUTS, "base": blocks(), "depth": 10})


def test_discriminative_rates():
    schedule = Discriminative(4, 0.1, iterations=10)
    np.testing.assert_allclose(schedule(0), 0.1 / 2.6 ** np.array([3, 2, 1, 0]))
    np.testing.assert_allclose(schedule(5), schedule(0) / 2)
    np.testing.assert_array_equal(schedule(10), 0)
    constant = Discriminative(2, 0.1, factor=4)
    np.testing.assert_allclose(constant(10**6), [0.025, 0.1])
    assert Discriminative(**schedule.get_config())(3).tolist() == schedule(3).tolist()
    for arguments, message in (
        ({"factor": 0.5}, "factor must be 1 or more"),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0"),
        ({"iterations": 0}, "iterations must be a whole number above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Discriminative(**{"blocks": 3, "learning_rate": 0.1, **arguments})
