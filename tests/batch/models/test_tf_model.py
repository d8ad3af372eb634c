import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import Constant, FreezeOut, ResNet, TFModel
from batch.training.losses import cross_entropy

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


@pytest.fixture
def make(blocks):
    def make_model(**config):
        rate = {} if "schedule" in config else {"learning_rate": 0.05}
        return TFModel({"inputs": INPUTS, "network": blocks(), **rate, **config})

    return make_model


SCHEDULE = ("FreezeOut", {"iterations": 6, "learning_rate": 0.05, "t_0": 0.5, "degree": 1})


def test_training_lowers_the_loss_and_raises_the_accuracy(make, examples):
    model = make(optimizer=("SGD", {"momentum": 0.9}))
    before = model.predict(*examples, fetches="loss")
    losses = [model.train(*examples) for _ in range(25)]
    assert losses[-1] < losses[0] / 2
    assert model.predict(*examples, fetches="loss") < before
    assert model.iteration == 25


def test_fetches_agree_with_each_other(make, examples):
    images, labels = examples
    model = make()
    names = ["predictions", "output_prob", "output_labels", "output_accuracy", "loss"]
    logits, probabilities, classes, accuracy, loss = model.predict(images, labels, fetches=names)
    assert logits.shape == probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classes, logits.argmax(1))
    assert accuracy == pytest.approx((classes == labels).mean())
    assert loss == pytest.approx(-np.log(probabilities[np.arange(60), labels]).mean(), rel=1e-5)
    np.testing.assert_array_equal(model.predict(images), logits)
    some = model.predict(images, rows=[5, 2])  # another batch, whose last bits may be others
    np.testing.assert_allclose(some, logits[[5, 2]], rtol=1e-5, atol=1e-6)


def test_weights_say_how_much_each_example_counts(make, examples):
    images, labels = examples
    weights = np.where(labels == 0, 0.0, np.arange(60.0))
    model = make()
    names = ["loss", "output_accuracy", "output_prob", "output_labels"]
    feed = {"images": images, "labels": labels, "loss_weights": weights}
    for found in (
        model.predict(images, labels, fetches=names, loss_weights=weights),
        model.train(feed_dict=feed, fetches=names),
    ):
        loss, accuracy, probabilities, classes = found
        losses = -np.log(probabilities[np.arange(60), labels])
        assert loss == pytest.approx(np.average(losses, weights=weights), rel=1e-5)
        assert accuracy == pytest.approx(np.average(classes == labels, weights=weights))
    assert make().train(images, labels, loss_weights=weights) == found[0]


def test_the_gradient_is_that_of_the_weighted_mean(make, examples):
    images, labels = examples
    weights = np.arange(60.0)
    model = make(optimizer="SGD", learning_rate=0.5)
    dense = model.network.layers[-1].dense
    features = model.network.layers[-1].pool(
        keras.Sequential(model.network.layers[:-1])(images.astype(np.float32) / 255, training=True)
    )
    before = dense.kernel.numpy()
    probabilities = model.train(images, labels, fetches="output_prob", loss_weights=weights)
    errors = probabilities - np.eye(3)[labels]
    gradient = np.asarray(features).T @ (errors * weights[:, None] / weights.sum())
    np.testing.assert_allclose(before - dense.kernel.numpy(), 0.5 * gradient, rtol=1e-3, atol=1e-6)


def test_weights_of_rows_come_in_the_order_of_the_rows(make, examples):
    first = make().train(*examples, rows=[3, 5, 9], loss_weights=[1, 2, 3])
    assert make().train(*examples, rows=[9, 5, 3], loss_weights=[3, 2, 1]) == pytest.approx(first)


def test_weights_that_are_all_alike_change_nothing(make, examples):
    plain, weighted = make(), make()
    for _ in range(3):
        first = plain.train(*examples)
        second = weighted.train(*examples, loss_weights=np.full(60, 2.0))
        assert second == pytest.approx(first, rel=1e-5)


def test_no_example_that_counts_leaves_the_weights(make, examples):
    model = make(optimizer="SGD")
    before = [variable.numpy() for variable in model.network.trainable_variables]
    assert model.train(*examples, loss_weights=np.zeros(60)) == 0
    for variable, value in zip(model.network.trainable_variables, before):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (np.ones(59), r"each of the 60 rows\. Received: shape \(59,\), from 1.0 to 1.0"),
        (np.full(60, -1.0), r"0 or more .* from -1.0"),
        (np.full(60, np.nan), "a finite number"),
    ],
)
def test_bad_weights_are_refused(make, examples, weights, told):
    model = make()
    with pytest.raises(ValueError, match=told):
        model.train(*examples, loss_weights=weights)
    assert model.iteration == 0


def test_weights_need_a_loss_for_each_example(make, examples):
    model = make(loss=lambda labels, logits: tf.reduce_mean(cross_entropy(labels, logits)))
    model.train(*examples)
    with pytest.raises(ValueError, match="must give one value an example"):
        model.train(*examples, loss_weights=np.ones(60))


def test_prediction_in_chunks_is_whole(make, examples, monkeypatch):
    whole = make().predict(examples[0])
    monkeypatch.setattr("batch.models.inference.CHUNK", 16)
    # Batches of another size, whose last bits may be others.
    np.testing.assert_allclose(make().predict(examples[0]), whole, rtol=1e-5, atol=1e-6)


def test_a_loaded_model_goes_on_like_an_uninterrupted_one(make, examples, tmp_path):
    model = make(optimizer=("SGD", {"momentum": 0.9, "nesterov": True}), schedule=SCHEDULE)
    for _ in range(4):
        model.train(*examples)
    model.save(tmp_path / "sub" / "model.zip")
    loaded = TFModel({"load": {"path": tmp_path / "sub" / "model.zip"}, "build": None})
    assert loaded.iteration == 4
    for _ in range(4):
        assert loaded.train(*examples) == model.train(*examples)
        assert loaded.frozen == model.frozen
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["model.zip"]


def test_load_into_a_model_that_exists(make, examples, tmp_path):
    model = make(optimizer="Adam", learning_rate=0.003)
    for _ in range(2):
        model.train(*examples)
    model.save(tmp_path / "model.zip")
    expected = [model.train(*examples) for _ in range(2)]
    model.load(tmp_path / "model.zip")
    assert [model.train(*examples) for _ in range(2)] == expected


def test_what_cannot_be_saved_is_given_again(make, examples, tmp_path):
    model = make(schedule=Constant(3, 0.01))
    model.train(*examples)
    model.save(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert json.loads(archive.read("config.json"))["left_out"] == ["schedule"]
    with pytest.raises(ValueError, match="without its schedule"):
        TFModel({"load": {"path": tmp_path / "model.zip"}})
    loaded = TFModel({"load": {"path": tmp_path / "model.zip"}, "schedule": Constant(3, 0.01)})
    assert loaded.train(*examples) == model.train(*examples)


def test_files_that_do_not_fit_are_refused(make, tmp_path):
    make(optimizer="Adam").save(tmp_path / "model.zip")
    with pytest.raises(ValueError, match="slots of another optimizer than FusedSGD"):
        make(optimizer="SGD").load(tmp_path / "model.zip")
    whole = (tmp_path / "model.zip").read_bytes()
    for name, contents in (("half.zip", whole[: len(whole) // 2]), ("junk.zip", b"junk")):
        (tmp_path / name).write_bytes(contents)
        with pytest.raises(ValueError, match=f"{name} is no model"):
            make().load(tmp_path / name)
    with pytest.raises(ValueError, match="is no model"):
        make().load(tmp_path / "missing.zip")


def test_a_file_that_is_refused_leaves_the_model_as_it_is(make, examples, tmp_path):
    model = make(optimizer="SGD")
    make(optimizer="Adam").save(tmp_path / "adam.zip")
    model.train(*examples)
    network = model.network
    with pytest.raises(ValueError, match="slots of another optimizer"):
        model.load(tmp_path / "adam.zip")
    assert model.network is network
    assert model.iteration == 1


def test_the_network_of_a_file_stays_as_it_was_made(make, tmp_path):
    make().save(tmp_path / "model.zip")
    with pytest.raises(ValueError, match=r"and survival can't change it. Received: survival=0\.5"):
        TFModel({"load": {"path": tmp_path / "model.zip"}, "survival": 0.5})
    other = {**INPUTS, "images": {"shape": (9, 9, 1)}}
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\), and 'inputs' says \(9, 9, 1\)"):
        TFModel({"load": {"path": tmp_path / "model.zip"}, "inputs": other})


def test_a_model_that_was_given_a_network_is_reset_to_it(blocks, examples, tmp_path):
    inputs = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": np.int64(3)}}
    model = ResNet({"inputs": inputs, "network": blocks()})
    model.train(*examples)
    model.save(tmp_path / "model.zip")
    loaded = ResNet({"load": {"path": tmp_path / "model.zip"}})
    loaded.reset()
    assert [layer.name for layer in loaded.network.layers] == [
        layer.name for layer in model.network.layers
    ]
    assert loaded.iteration == 0


def test_reset_starts_anew(make, examples):
    model = make(optimizer=("SGD", {"momentum": 0.9}))
    first = [model.train(*examples) for _ in range(3)]
    model.reset()
    assert model.iteration == 0
    assert [model.train(*examples) for _ in range(3)] == first


def test_the_users_layers_are_copied_with_their_weights(make, blocks, examples):
    layers = blocks()
    base = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    weights = [weight.copy() for weight in base.get_weights()]
    one, two = make(network=layers), make(network=layers)
    for mine, given in zip(one.network.get_weights(), weights):
        np.testing.assert_array_equal(mine, given)
    one.train(*examples)
    for model_weights in (base.get_weights(), two.network.get_weights()):
        assert all(np.array_equal(a, b) for a, b in zip(model_weights, weights))


def test_precision_bfloat16(examples):
    model = ResNet(
        {
            "inputs": {"images": {"shape": (8, 8, 1), "classes": 3}},
            "precision": "bfloat16",
            "learning_rate": 0.01,
        }
    )
    assert model.network.layers[1].compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.network.trainable_variables} == {"float32"}
    losses = [model.train(*examples) for _ in range(6)]
    assert losses[-1] < losses[0]
    assert keras.config.dtype_policy().name == "float32"
    assert model.predict(examples[0]).dtype == np.float32


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"optimiser": "SGD"},
            "Unknown key in the config of TFModel: optimiser. Known keys: .*inputs",
        ),
        ({"inputs": {"images": {"shape": (8, 8, 1)}}}, "one shape and the classes"),
        ({"inputs": None}, "one shape and the classes"),
        ({"inputs": {"images": {"shape": (8, 0), "classes": 3}}}, r"\(H, W\) or \(H, W, C\)"),
        ({"inputs": {"images": {"shape": (8, 8, 1), "classes": 4}}}, "4 logits an image"),
        ({"optimizer": "SDG"}, "must be a Keras optimizer, .* Received: 'SDG'"),
        ({"optimizer": {"momentum": 0.9}}, "must be a Keras optimizer"),
        ({"schedule": SCHEDULE, "learning_rate": 0.1}, "not both"),
        ({"precision": "float16"}, "float32 or bfloat16"),
        ({"cache": "on"}, "cache must be auto, memory"),
        ({"survival": 1, "mode": "image"}, "mode must be batch or sample"),
        ({"loss": "cross"}, "loss must be softmax_cross_entropy"),
        ({"loss": lambda labels, logits: labels @ logits}, r"must take labels \(n,\) and logits"),
        ({"output": {"ops": ["f1"]}}, "'output/ops' must be of"),
    ],
)
def test_bad_configs_are_refused(make, config, message):
    with pytest.raises(ValueError, match=message):
        make(**config)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (FreezeOut(5, 10, 0.1), "3 blocks .* a schedule for 5"),
        (("FrezeOut", {}), "FreezeOut, Annealed, Constant"),
        ("FreezeOut", "FreezeOut, Annealed, Constant"),
        (("FreezeOut", {"iterations": 0, "learning_rate": 1}), "iterations must be"),
    ],
)
def test_bad_schedules_are_refused(blocks, schedule, message):
    with pytest.raises(ValueError, match=message):
        TFModel({"inputs": INPUTS, "network": blocks(), "schedule": schedule})


def test_optimizers_in_every_form(make):
    for form in (
        "adam",
        ("Adam", {"beta_1": 0.5}),
        {"name": "Adam", "beta_1": 0.5},
        keras.optimizers.Adam(beta_1=0.5),
    ):
        optimizer = make(optimizer=form).trainer.optimizers[0]
        assert type(optimizer) is keras.optimizers.Adam
        assert optimizer.beta_1 == (0.9 if form == "adam" else 0.5)


def test_the_optimizers_own_rate_counts_where_no_other_is_given(blocks):
    model = TFModel(
        {"inputs": INPUTS, "network": blocks(), "optimizer": ("SGD", {"learning_rate": 0.25})}
    )
    assert model.trainer.schedule(0).tolist() == [0.25] * 3


def test_a_base_model_needs_a_network():
    with pytest.raises(ValueError, match="TFModel needs a 'network'"):
        TFModel({"inputs": INPUTS})


def test_bad_calls_are_refused(make, examples):
    images, labels = examples
    model = make()
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\)"):
        model.train(np.zeros((60, 9, 9)), labels)
    with pytest.raises(ValueError, match="rows of the 60 images"):
        model.train(images, labels, rows=[60])
    with pytest.raises(ValueError, match="Received: none"):
        model.train(images, labels, rows=[])
    with pytest.raises(ValueError, match=r"number for each of the 60 images. .* shape \(2,\)"):
        model.train(images, labels, [0, 1])
    with pytest.raises(ValueError, match=r"Unknown fetches: accuracy\. Known: loss, output_acc"):
        model.train(images, labels, fetches="accuracy")
    with pytest.raises(ValueError, match="need labels: output_accuracy"):
        model.predict(images, fetches="output_accuracy")
    with pytest.raises(ValueError, match="output_acuracy"):
        model.predict(images, labels, fetches="output_acuracy")
    assert model.iteration == 0


def test_losses_of_the_users_own(make, examples):
    def halved(labels, logits):
        assert labels.shape.rank == 2  # one-hot, as the transform says
        return keras.losses.categorical_crossentropy(labels, logits, from_logits=True) / 2

    inputs = {**INPUTS, "labels": {"classes": 3, "transform": "ohe"}}
    own = make(loss=halved, inputs=inputs).train(*examples)
    assert own == pytest.approx(make().train(*examples) / 2, rel=1e-5)
    assert make(loss="mse").train(*examples) > 0


def test_a_keras_learning_rate_schedule_becomes_one_of_ours(blocks, examples, tmp_path):
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.25)
    config = {"inputs": INPUTS, "network": blocks(), "optimizer": ("SGD", {"learning_rate": decay})}
    model = TFModel(config)
    rates = []
    for _ in range(3):
        rates.append(model.trainer.plan.rates_at(model.iteration)[0])
        model.train(*examples)
        assert float(model.trainer.optimizers[0].learning_rate) == pytest.approx(rates[-1])
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025], rtol=1e-6)
    model.save(tmp_path / "model.zip")
    loaded = TFModel({"load": {"path": tmp_path / "model.zip"}})
    assert loaded.train(*examples) == model.train(*examples)
    for other in ({"learning_rate": 0.1}, {"schedule": SCHEDULE}):
        with pytest.raises(ValueError, match=r"not both\. Received: .* and the optimizer's own"):
            TFModel({**config, **other})


def test_output_operations(make, examples):
    def top(logits):
        return logits.numpy().max(1)

    model = make(output={"ops": ["accuracy", top]})
    top_logits, accuracy = model.train(*examples, fetches=["output_top", "output_accuracy"])
    assert top_logits.shape == (60,)
    assert 0 <= accuracy <= 1
    assert np.array_equal(
        model.predict(examples[0], fetches="output_top"), model.predict(examples[0]).max(1)
    )


def test_training_fetches_are_of_the_step_before_its_update(make, examples):
    model, twin = make(), make()
    logits = np.asarray(twin.network(examples[0].astype(np.float32) / 255, training=True))
    loss, fetched = model.train(*examples, fetches=["loss", "predictions"])
    np.testing.assert_allclose(fetched, logits, rtol=1e-4, atol=1e-5)
    chosen = logits[np.arange(60), examples[1]]
    expected = (np.log(np.exp(logits).sum(1)) - chosen).mean()
    assert loss == pytest.approx(expected, rel=1e-4)
