import pytest

from batch.data.data import Data, Split, load_data
from research import Experiment, Method, compare
from research.experiments.fields import FIELDS
from research.methods import method
from research.running import comparison

MODULES = (method,)


def config(experiment, blocks):
    return {}


def small():
    data = load_data("digits")
    splits = [Split(split.images[:20], split.labels[:20]) for split in (data.train, data.test)]
    return Data("small", 10, *splits)


DATA = small()
CALLS = {
    "Experiment": (Experiment, {}),
    "Experiment.method_config": (Experiment(method="freezeout").method_config, {"blocks": 5}),
    "Method": (Method, {"name": "m", "config": config}),
    "compare": (compare, {"named": {"a": Experiment()}, "seeds": [0], "data": DATA}),
}
INTERNAL = {}
NUMBER = {"a half": "a number"}
FLAG = {"True": "true or false"}
TEXT = {"text of a number": "a text"}
RATE = {**NUMBER, "huge whole": "float32 holds it, as Keras' optimizers do"}
DEFAULT = {"None": "the default"}
CALLABLE = {**DEFAULT, "class": "it can be called"}
ACCEPTED = {
    "data": TEXT,
    "compare.data": {},
    "model_options": {"empty dict": "the network's own"},
    "seed": {"zero": "a seed"},
    "learning_rate": {**RATE, **DEFAULT},
    "finetune_rate": {**RATE, **DEFAULT},
    "optimizer": DEFAULT,
    "momentum": {**NUMBER, **DEFAULT, "zero": "no momentum"},
    "weight_decay": {**RATE, "zero": "no decay, the default"},
    "t_0": NUMBER,
    "gamma": RATE,
    "base": {**DEFAULT, **TEXT},
    "freeze_first": {"zero": "nothing is frozen, the default"},
    "freeze": {"empty list": "nothing is frozen, the default", "empty array": "the same"},
    **dict.fromkeys(("freeze_iterations", "freeze_every", "views", "strategy"), DEFAULT),
    "milestones": {"empty list": "no milestones, the default", "empty array": "the same"},
    "survival": {**NUMBER, "zero": "a probability"},
    **dict.fromkeys(("scale_lr", "count_classifier", "augment", "normalize", "adapts"), FLAG),
    "cache": {
        **{**NUMBER, "zero": "no byte of memory", "huge whole": "more than the memory: all of it"},
        "huge float": "the same",
    },
    "Method.name": TEXT,
    "baseline": {**DEFAULT, **TEXT},
    "options": {"empty dict": "none, the default"},
    "paper": {**TEXT, "empty text": "none, the default"},
    "source": {**DEFAULT, **TEXT},
    "Method.config": {"class": "it can be called"},
    **dict.fromkeys(("Method.iterations", "estimate", "file_name"), CALLABLE),
    "seeds": {"array of length 7": "whole numbers"},
    "quiet": FLAG,
    "callbacks": DEFAULT,
}


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    """All arguments of `compare` are checked before it trains."""
    monkeypatch.setattr(comparison, "train_in_turns", lambda *_: [])


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)


def test_numpys_numbers_are_numbers(case, call_with_numpys):
    call_with_numpys(case)


def test_every_public_call_is_in_the_table(missing_calls):
    assert not missing_calls


def test_an_experiment_has_a_check_for_each_of_its_fields():
    fields = set(Experiment.__dataclass_fields__) - {"method"}
    assert fields == set(FIELDS)


def test_an_experiment_keeps_plain_values():
    import numpy as np

    made = Experiment(seed=np.int64(3), learning_rate=np.float64(0.5), milestones=[0.5, 0.7])
    assert (type(made.seed), type(made.learning_rate), made.milestones) == (int, float, (0.5, 0.7))
