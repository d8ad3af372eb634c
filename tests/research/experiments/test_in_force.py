import json

import numpy as np
import pytest

from batch.data.data import Data
from research import Experiment, Method
from research.experiments.in_force import in_force
from research.methods import METHODS


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8), np.arange(20) % 2
    return Data.of(images, labels, images, labels, name="noise")


@pytest.mark.parametrize("method", METHODS)
def test_defaults_of_every_method_are_there_in_plain_values(data, method):
    experiment = Experiment(method=method, batch_size=10)
    settings = in_force(experiment, data)
    assert json.loads(json.dumps(settings)) == settings
    freezes = METHODS[method].action == "train_freez"
    assert settings["optimizer"] == {
        "name": "SGD",
        "momentum": 0.9 if freezes else 0.8,
        "nesterov": True,
        "rate_outside": freezes,
    }
    assert settings["schedule"]["learning_rate"] == (0.06 if freezes else 0.03)
    assert settings["schedule"].get("t_0") == (0.6 if method == "freezeout" else None)
    assert settings.get("survival") == (0.6 if method == "stochastic" else None)
    assert (settings["iterations"], settings["batch_size"]) == (150, 10)
    assert (settings["weight_decay"], settings["augment"]) == (0.0, False)
    assert settings["batch_norm_momentum"] == 0.9


DECAY = {"name": "exp", "gamma": 0.5, "frequency": 2}


def schedule(iteration):
    return np.full(5, 0.1)


CASES = {
    "adam": ({"optimizer": "Adam:beta_1=0.8"}, "optimizer", {"name": "Adam", "beta_1": 0.8}),
    "steps": ({"milestones": (0.5,)}, "schedule", {"name": "MultiStep", "milestones": [0.5]}),
    "crops": ({"augment": True, "views": 3}, "augment", {"pad": 4, "flip": True, "views": 3}),
    "flips": ({"augment": True}, "augment", {"pad": 4, "flip": True}),
    "wide": (
        {"model": "wideresnet", "model_options": {"depth": 10}},
        "network",
        {"name": "wideresnet", "depth": 10, "widen_factor": 2},
    ),
    "own": (
        {"method": Method("own", lambda *_: {"schedule": schedule, "loss": schedule})},
        "schedule",
        {},
    ),
    "decay": (
        {"method": Method("own", lambda *_: {"learning_rate": 0.1, "decay": DECAY})},
        "schedule",
        {"name": "Decays", "learning_rate": 0.1},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_asked_for_is_there_with_what_it_left_open(data, case):
    asked, key, expected = CASES[case]
    settings = in_force(Experiment(**asked, batch_size=10), data)
    assert expected.items() <= settings[key].items()
    assert json.loads(json.dumps(settings)) == settings


def test_a_schedule_of_a_users_own_is_named(data):
    asked, *_ = CASES["own"]
    settings = in_force(Experiment(**asked, batch_size=10), data)
    assert (settings["schedule"], settings["loss"]) == ({"name": "schedule"}, "schedule")
