import functools

import keras
import numpy as np
import pytest
from batchflow import Dataset

from batch import ResBatch, openset
from batch.data import data, dataset
from batch.data.data import load_data

ROWS = np.random.default_rng(0).random((6, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
IMAGES = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2, 1) * 10
KINDS = ("resnet", "freeznet")
ARRAYS = {"images": ROWS, "labels": LABELS}


def config():
    layers = [keras.layers.Dense(3, name="first"), keras.layers.Dense(3, name="last")]
    return {"network": layers}


def pipeline():
    return Dataset(6, ResBatch).pipeline(config={name: config() for name in KINDS})


TRAINED = pipeline().train_res(**ARRAYS, name="own")
TRAINED.next_batch(6)


def by(action):
    """A function with the parameters of an action, which makes a batch with it."""

    @functools.wraps(getattr(ResBatch, action))
    def run(**arguments):
        begun = pipeline()
        if action == "test":
            begun = begun.import_model("own", TRAINED)
        getattr(begun, action)(**arguments).next_batch(6)

    return run


SPLITS = {
    f"{kind}_{name}": value
    for kind in dataset.KINDS
    for name, value in (("images", IMAGES), ("labels", LABELS))
}
CALLS = {
    "ResBatch.train_res": (by("train_res"), ARRAYS),
    "ResBatch.train_freez": (by("train_freez"), ARRAYS),
    "ResBatch.test": (by("test"), {**ARRAYS, "name": "own"}),
    "ResBatch.add_loss_weights": (by("add_loss_weights"), {"weights": np.ones(6)}),
    "openset": (openset, {}),
    "load_data": (load_data, {}),
    "Data.of": (data.Data.of, SPLITS),
}
CALLED = {
    "ResBatch.add_loss_weights.weights": "weights|loss_weights",
    **{f"Data.of.{kind}_{name}": name for kind in dataset.KINDS for name in ("images", "labels")},
    **{f"{call}.source": "source|data set" for call in ("openset", "load_data")},
}
CALLED |= {f"Data.of.{kind}_images": "images|pixels" for kind in dataset.KINDS}
DEFAULT = {"None": "the default"}
LIST = dict.fromkeys(
    ("None", "empty list", "list of text", "list of None", "uneven list", "endless list"),
    "a list to append to, whatever it holds, or none",
)
ACCEPTED = {
    **dict.fromkeys(("loss", "accuracies"), LIST),
    **dict.fromkeys(("save_to", "loss_weights", "id_to_mask"), DEFAULT),
    "name": {"text of a number": "a name"},
    "ResBatch.test.name": {},
    "weights": {**DEFAULT, "array of length 7": "weights, of more examples than the batch has"},
    "classes": DEFAULT,
    "load_data.image_size": DEFAULT,
    "load_data.skip_broken": {"True": "true or false"},
}


def state():
    model = TRAINED.m("own")
    return model.iteration, [value.tobytes() for value in model.network.get_weights()]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("classes", 0, "'inputs' must give at least 2 classes"),
        ("model", ["resnet"], "model must be one of resnet, .* Received: \\['resnet'\\]"),
        ("scaled", "False", "scaled must be True or False. Received: 'False'"),
        ("iteration", 10**30, "iteration must be a whole number above 0, at most"),
    ],
)
def test_keys_of_a_pipelines_config(key, value, sentence):
    begun = Dataset(6, ResBatch).pipeline(config={"freeznet": {**config(), key: value}})
    with pytest.raises(ValueError, match=sentence):
        begun.train_freez(**ARRAYS).next_batch(6)


def test_a_config_of_another_kind_is_named():
    begun = Dataset(6, ResBatch).pipeline(config={"resnet": 5})
    with pytest.raises(TypeError, match=r"config of 'resnet' must be a dict. Received: int"):
        begun.train_res(**ARRAYS).next_batch(6)
