"""Calls in the words of BatchFlow's Torch models."""

import numpy as np
import pytest
import tensorflow as tf
from batchflow import B, Dataset, V

from batch import ResBatch


@pytest.fixture
def model(make):
    return make()


def test_inputs_targets_and_outputs(model, examples):
    images, labels = examples
    logits = model.predict(images)
    for call in (
        {"inputs": images},
        {"inputs": [images], "targets": [labels]},
        {"inputs": images, "outputs": "predictions"},
        {"inputs": images, "targets": labels, "outputs": None},
    ):
        np.testing.assert_array_equal(model.predict(**call), logits)
    names = ["loss", "data_loss", "accuracy", "output_accuracy", "top_2", "labels", "proba"]
    fetches = [
        name if "loss" in name else f"output_{name.removeprefix('output_')}" for name in names
    ]
    found = model.predict(inputs=images, targets=labels, outputs=names)
    for value, expected in zip(found, model.predict(images, labels, fetches=fetches)):
        np.testing.assert_array_equal(value, expected)


def test_outputs_are_names_and_callables_in_a_list_or_a_dict(model, examples):
    images, labels = examples
    logits = model.predict(images)
    doubled = model.predict(images, outputs=lambda outputs: 2 * outputs)
    np.testing.assert_array_equal(doubled, 2 * logits)
    outputs = {"mine": tf.sigmoid, "theirs": "sigmoid", "soft": "softplus", "loss": "loss"}
    found = model.predict(images, labels, outputs=outputs)
    assert list(found) == list(outputs)
    np.testing.assert_allclose(found["mine"], 1 / (1 + np.exp(-logits)), rtol=1e-5)
    np.testing.assert_array_equal(found["mine"], found["theirs"])
    np.testing.assert_allclose(found["soft"], np.log1p(np.exp(logits)), rtol=1e-5)
    assert found["loss"] == model.predict(images, labels, fetches="loss")
    assert model.predict(images, outputs=("labels",))[0].shape == (60,)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"mode": "a"}, TypeError, r"no argument 'mode': .* save_to=V\('acc', mode='a'\)"),
        ({"microbatch_size": 4}, TypeError, "no argument 'microbatch_size': it is a key of the"),
        (
            {"lock": False},
            TypeError,
            r"'lock': it takes images, .*, outputs\. Received: {'lock': False}",
        ),
        ({"images": 1, "inputs": 2}, TypeError, "Give 'inputs' or 'images', not both"),
        ({"outputs": "loss", "fetches": "loss"}, TypeError, "Give 'outputs' or 'fetches', not bo"),
        (
            {"inputs": [1, 2]},
            ValueError,
            r"inputs must be an array, or a list of one\. .* list of 2",
        ),
        ({"inputs": 1, "feed_dict": {}}, ValueError, "Give a feed_dict, or images and labels"),
        ({"inputs": np.ones(2), "outputs": "model.head[0]"}, ValueError, "images must be"),
    ],
)
def test_what_means_nothing_here_is_refused_by_name(model, call, error, message):
    for method in (model.train, model.predict):
        with pytest.raises(error, match=message):
            method(**call)
    assert model.iteration == 0


def test_unknown_outputs_are_refused(model, examples):
    with pytest.raises(ValueError, match=r"Unknown fetches: output_model\.head\[0\]\. Known: .*"):
        model.predict(examples[0], outputs="model.head[0]")
    with pytest.raises(ValueError, match="These fetches need labels: output_accuracy"):
        model.predict(examples[0], outputs=["labels", "accuracy"])


def test_pipelines(make, examples):
    dataset = Dataset(60, ResBatch, preloaded=examples)
    train = (
        dataset.p.init_model("net", source=make(microbatch_size=8))
        .init_variable("loss", default=[])
        .init_variable("predictions", default=[])
        .train_model(
            "net",
            inputs=B.images,
            targets=B.labels,
            outputs=["loss", "predictions"],
            save_to=[V("loss", mode="a"), V("predictions", mode="a")],
        )
    )
    test = (
        dataset.p.import_model("net", train)
        .init_variable("accuracy", default=[])
        .predict_model(
            "net",
            inputs=B.images,
            targets=B.labels,
            outputs=["accuracy", "proba"],
            save_to=[V("accuracy", mode="a"), B("proba")],
        )
    )
    for _ in range(2):
        train.next_batch(20, n_epochs=None)
    batch = test.next_batch(20)
    assert [values.shape for values in train.v("predictions")] == [(20, 3)] * 2
    assert len(train.v("loss")) == 2
    assert test.v("accuracy") == [(batch.proba.argmax(1) == batch.labels).mean()]
    bare = dataset.p.import_model("net", train).predict_model(
        "net", B.images, B.labels, fetches="loss", save_to=V("accuracy"), mode="a"
    )
    with pytest.raises(TypeError, match=r"save_to=V\('acc', mode='a'\)"):
        bare.next_batch(20)
