import inspect
import shutil

import keras
import numpy as np
import pytest

from batch import ResNet18, TFModel

INPUTS = {"images": {"shape": (4,)}, "labels": {"classes": 3}}
ROWS = np.random.default_rng(0).random((6, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
ABSENT = object()


class Residual(keras.layers.Layer):
    """A block that stochastic depth can drop."""

    def branch(self, inputs, training=None):
        return 2.0 * inputs

    def shortcut(self, inputs, training=None):
        return inputs

    def activation(self, outputs):
        return outputs

    def call(self, inputs, training=None):
        return self.branch(inputs) + inputs


def network():
    return [keras.layers.Dense(3, name="first"), keras.layers.Dense(3, name="last")]


def residual():
    return [network()[0], Residual(), network()[1]]


def with_keys(keys, kind=TFModel):
    """A function that makes a model, and whose parameters are these keys of the model's config."""

    def make(**config):
        return kind({key: value for key, value in config.items() if value is not ABSENT})

    only = inspect.Parameter.KEYWORD_ONLY
    entries = [inspect.Parameter(key, only, default=ABSENT) for key in keys]
    make.__signature__ = inspect.Signature(entries)
    return make


def train_in_words(inputs, targets, outputs="loss"):
    """A step in the words of BatchFlow's Torch models."""
    return MODEL.train(inputs=inputs, targets=targets, outputs=outputs)


MODEL = TFModel({"inputs": INPUTS, "network": network(), "learning_rate": 0.1})
KEYS = {*TFModel.keys(), "load"} - {"base"}
DROPPING = {"survival", "rule", "mode", "scale", "warm_up"}
CALLS = {
    "TFModel": (
        with_keys(sorted(KEYS - DROPPING)),
        lambda: {"inputs": INPUTS, "network": network()},
    ),
    "TFModel with stochastic depth": (
        with_keys(["inputs", "network", *sorted(DROPPING)]),
        lambda: {"inputs": INPUTS, "network": residual(), "survival": 0.5},
    ),
    "TFModel on a base": (with_keys(["base"]), lambda: {"inputs": INPUTS, "base": network()}),
    "ResNet18": (
        with_keys(["se_block", "attention"], ResNet18),
        {"inputs/images/shape": (8, 8, 1), "classes": 3, "num_blocks": [1], "filters": [16]},
    ),
    "TFModel.train": (MODEL.train, {"images": ROWS, "labels": LABELS}),
    "TFModel.train by a feed": (
        MODEL.train,
        {**dict.fromkeys(("images", "labels")), "feed_dict": {"images": ROWS, "labels": LABELS}},
    ),
    "TFModel.train in words": (train_in_words, {"inputs": ROWS, "targets": LABELS}),
    "TFModel.predict": (MODEL.predict, {"images": ROWS, "labels": LABELS}),
    "TFModel.save": (MODEL.save, {"path": "x.zip"}),
    "TFModel.load": (MODEL.load, {"path": "a.zip"}),
}
CALLED = {
    "TFModel.load.path": "path|model",  # '3 is no model that TFModel.save wrote …'
    "TFModel.train in words.inputs": "inputs|images",
    "TFModel.train in words.targets": "targets|labels",
    "TFModel.train in words.outputs": "outputs|fetches",
}
NUMBER = {"a half": "a number"}
RATE = {**NUMBER, "huge whole": "float32 holds it, as Keras' optimizers do: the loss will tell"}
DEFAULT = {"None": "the default"}
NONE_SUCH = {"empty list": "no such block"}
ACCEPTED = {
    "input_block": {**DEFAULT, "empty dict": "the default"},
    "normalize": DEFAULT,
    "augment": {**DEFAULT, "empty dict": "no crops and no flips"},
    "output": {
        **DEFAULT,
        "empty list": "no operations",
        "empty array": "the same",
        "class": "it can be called",
    },
    "freeze": {**DEFAULT, **NONE_SUCH},
    "inference_mode": {**DEFAULT, **NONE_SUCH},
    "cache": {
        **{**NUMBER, "zero": "no byte of memory", "huge whole": "more than the memory: all of it"},
        "huge float": "the same",
    },
    "learning_rate": RATE,
    "weight_decay": {**RATE, "zero": "no decay, the default"},
    "seed": {"zero": "a seed"},
    "survival": {**NUMBER, "zero": "a probability"},
    "warm_up": {"zero": "no warm-up, the default"},
    "load": DEFAULT,
    **dict.fromkeys(("indices", "rows", "loss_weights", "feed_dict"), DEFAULT),
    "fetches": {"empty list": "nothing is to be returned"},
    "TFModel.predict.labels": DEFAULT,
    **dict.fromkeys(("microbatch_size", "microbatch", "device", "strategy"), DEFAULT),
    **dict.fromkeys(("classes", "inputs_shapes", "input_shapes"), DEFAULT),
    **dict.fromkeys(("se_block", "attention"), DEFAULT),
    **{
        f"ResNet18.{word}": {**DEFAULT, "True": "of ratio 16"} for word in ("se_block", "attention")
    },
    **{word: {**DEFAULT, "empty dict": "no words"} for word in ("body", "head")},
    "TFModel.train in words.outputs": {
        **{**DEFAULT, "empty list": "nothing is to be returned", "empty dict": "the same"},
    },
    "amp": {**DEFAULT, "True": "true or false"},
    "pickle_metadata": {"True": "the default"},
    "decay": {**DEFAULT, "empty list": "a rate without decays"},
    **dict.fromkeys(("fmt", "pickle_module"), DEFAULT),
    "TFModel.save.path": {"text of a number": "a path"},
}
BY_FEED = {f"TFModel.train by a feed.{name}": DEFAULT for name in ("images", "labels")}
ACCEPTED |= {**BY_FEED, "TFModel.train by a feed.feed_dict": {}}


def state():
    return MODEL.iteration, [value.tobytes() for value in MODEL.network.get_weights()]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "a.zip"
    MODEL.save(path)
    return path


@pytest.fixture(autouse=True)
def _in_a_folder(saved, tmp_path, monkeypatch):
    shutil.copy(saved, tmp_path)
    monkeypatch.chdir(tmp_path)


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)


def test_numpys_numbers_are_numbers(case, call_with_numpys):
    call_with_numpys(case)
