import dataclasses
import importlib
import pathlib
import re

import pytest

from batch.schedules import make_schedule
from batch.schedules.freezeout import degree_of
from research import methods
from research.experiments.experiment import Experiment
from research.experiments.recipes import NOTEBOOK, PUBLISHED
from research.methods import METHODS, Method, find
from research.methods.options import HOW_SCALE, SHARED

SCHEDULES = {
    "annealed": "Annealed",
    "freezeout": "FreezeOut",
    "shorter": "Annealed",
    "layerfreezing": "LayerFreezing",
    "autofreeze": "AutoFreeze",
}


def config(experiment, blocks):
    return {}


def test_the_registry_has_every_file_of_a_method():
    names = [
        path.stem
        for path in pathlib.Path(methods.__file__).parent.glob("*.py")
        if hasattr(importlib.import_module(f"research.methods.{path.stem}"), path.stem.upper())
    ]
    assert sorted(names) == sorted(METHODS)
    assert list(METHODS) == [
        *("classic", "annealed", "freezeout", "stochastic", "shorter"),
        *("layerfreezing", "autofreeze"),
    ]


def test_the_readmes_table_is_that_of_the_registry():
    readme = pathlib.Path(methods.__file__).parent.parent / "README.md"
    section = readme.read_text().split("\n## Methods\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .* \|(?: `(\w+)`)? \|$", section, re.MULTILINE)
    assert rows == [(name, method.baseline or "") for name, method in METHODS.items()]


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_says_fits_together(name):
    method = METHODS[name]
    assert method.name == name
    assert method.baseline in {None, *METHODS} - {name}
    assert method.adapts == (name == "autofreeze")
    assert all(method.options[option] is SHARED[option] for option in method.options)
    added = Experiment(method=name).method_config(5)
    assert added.get("schedule", (None,))[0] == SCHEDULES.get(name)
    assert ("survival" in added) == (name == "stochastic")
    if name in SCHEDULES:
        assert make_schedule(added["schedule"], 5).iterations == 150


def test_settings_reach_the_schedule():
    experiment = Experiment(
        method="freezeout", t_0=0.5, how_scale="cubic", scale_lr=True, freeze_iterations=20
    )
    schedule = make_schedule(experiment.method_config(5)["schedule"], 5)
    assert schedule.get_config() == {
        **{"blocks": 5, "iterations": 20, "learning_rate": 0.06, "t_0": 0.5, "degree": 3},
        **{"scaled": True, "finetune_rate": 0.01, "count_classifier": False},
    }
    milestones = Experiment(method="stochastic", milestones=(0.5,), learning_rate=0.2)
    steps = make_schedule(milestones.method_config(5)["schedule"], 5)
    assert [steps(iteration)[0] for iteration in (74, 75)] == pytest.approx([0.2, 0.04])


def test_options_have_the_defaults_of_the_experiment():
    plain = Experiment()
    for name, option in SHARED.items():
        assert getattr(plain, name) == option.default == NOTEBOOK[name]
    expected = {"t_0": 0.8, "how_scale": "cubic", "scale_lr": True, "finetune_rate": None}
    assert {name: PUBLISHED[name] for name in expected} == expected
    assert PUBLISHED["gamma"] == NOTEBOOK["gamma"] == 0.2
    assert [degree_of(name) for name in HOW_SCALE] == [1, 2, 3]
    assert SHARED["t_0"].help_text().endswith("(default: 0.6 (0.8))")
    assert SHARED["scale_lr"].help_text().endswith("(default: no (yes))")


def test_a_method_is_found_by_its_name_or_is_its_own_answer():
    own = Method("own", config)
    assert find("classic") is METHODS["classic"]
    assert find(own) is own
    assert Experiment(method=own).label == "own"
    with pytest.raises(ValueError, match=r"one of classic, annealed, .*\. Received: 'clasic'"):
        Experiment(method="clasic")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "two words"}, "name must be one word. Received: 'two words'"),
        ({"name": "a/b"}, "name must be one word"),
        ({"config": {}}, "config of own must be callable. Received: {}"),
        ({"action": "train"}, "action of own must be one of train_res, train_freez, train_stoch"),
        ({"options": {"factor": 2}}, "options of own must be of milestones, .* 'factor'"),
        ({"iterations": 5}, "iterations of own must be callable. Received: 5"),
    ],
)
def test_what_is_no_method_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Method(**{"name": "own", "config": config, **changes})


def test_rates_that_were_not_given_are_the_actions_own():
    seen = []

    def remember(experiment, blocks):
        seen.append((experiment.learning_rate, experiment.momentum, blocks))
        return {"schedule": lambda iteration: [0.1] * blocks}

    given = {"learning_rate": 0.5, "momentum": 0.0}
    for action, rates in (("train_res", {}), ("train_freez", {}), ("train_res", given)):
        own = Method("own", remember, action=action)
        Experiment(method=own, **rates).method_config(3)
    assert seen == [(0.03, 0.8, 3), (0.06, 0.9, 3), (0.5, 0.0, 3)]


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ([], "config must give a dict. Received: list"),
        ({"rate": 1}, "Unknown key in the config of method 'own': rate"),
        ({"network": []}, "Unknown key in the config of method 'own': network"),
        ({}, "train_freez needs a 'schedule'"),
        ({"schedule": lambda iteration: [0.1] * 3}, "must give 5 rates, one for each block"),
        ({"schedule": ("FreezOut", {})}, "with a name among FreezeOut"),
    ],
)
def test_what_is_no_config_is_refused(added, message):
    own = Method("own", lambda experiment, blocks: added, action="train_freez")
    with pytest.raises((TypeError, ValueError), match=message):
        Experiment(method=own).method_config(5)


def test_a_method_may_give_a_rate_to_the_classifier_too():
    own = Method("own", lambda experiment, blocks: {"schedule": lambda iteration: [1.0] * 6})
    with pytest.raises(ValueError, match="must give 4 rates"):
        Experiment(method=own).method_config(4)
    assert "schedule" in Experiment(method=own).method_config(5)


def test_methods_are_plain_values():
    assert dataclasses.replace(METHODS["classic"]) == METHODS["classic"]
