import inspect

import keras
import numpy as np
import pytest

from batch import TFModel

INPUTS = {"images": {"shape": (4,)}, "labels": {"classes": 3}}
ROWS = np.random.default_rng(0).random((6, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def network():
    return [keras.layers.Dense(3, name="first"), keras.layers.Dense(3, name="last")]


def with_keys(kind):
    """A function that makes a model, and whose parameters are the keys of the model's config."""

    def make(**config):
        return kind({key: value for key, value in config.items() if value is not ABSENT})

    keys = kind.keys()
    only = inspect.Parameter.KEYWORD_ONLY
    entries = [inspect.Parameter(key, only, default=ABSENT) for key in keys]
    make.__signature__ = inspect.Signature(entries)
    return make


ABSENT = object()
MODEL = TFModel({"inputs": INPUTS, "network": network(), "learning_rate": 0.1})
CALLS = {
    "TFModel": (with_keys(TFModel), lambda: {"inputs": INPUTS, "network": network()}),
    "TFModel.train": (MODEL.train, {"images": ROWS, "labels": LABELS}),
    "TFModel.predict": (MODEL.predict, {"images": ROWS, "labels": LABELS}),
    "TFModel.save": (MODEL.save, {"path": "x.zip"}),
    "TFModel.load": (MODEL.load, {"path": "a.zip"}),
}
MODULES = ()
INTERNAL = {}
ACCEPTED = {}


def state():
    return MODEL.iteration, [value.tobytes() for value in MODEL.network.get_weights()]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)


def test_numpys_numbers_are_numbers(case, call_with_numpys):
    call_with_numpys(case)


def test_every_public_call_is_in_the_table(missing_calls):
    assert not missing_calls
