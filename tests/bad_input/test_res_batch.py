import functools

import keras
import numpy as np
from batchflow import Dataset

import batch.res_batch
from batch import ResBatch, openset
from batch.data import data, dataset
from batch.data.data import load_data

MODULES = (batch.res_batch, dataset)
ROWS = np.random.default_rng(0).random((6, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
IMAGES = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2, 1) * 10
ARRAYS = {"images": ROWS, "labels": LABELS}


def config():
    layers = [keras.layers.Dense(3, name="first"), keras.layers.Dense(3, name="last")]
    return {"network": layers, "learning_rate": 0.1}


def pipeline():
    kinds = {name: config() for name in ("resnet", "own")}
    kinds["freeznet"] = {**config(), "iteration": 9}
    kinds["freeznet"].pop("learning_rate")
    return Dataset(6, ResBatch).pipeline(config=kinds)


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


FREEZING = {"iteration": 3, "learning_rate": 0.1, "degree": 1, "scaled": True, "t_0": 0.5}
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
ACCEPTED = {}


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)
