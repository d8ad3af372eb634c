"""Every argument of every schedule acts: by signature."""

import inspect

import numpy as np
import pytest

from batch import (
    Annealed,
    AutoFreeze,
    Constant,
    Discriminative,
    FreezeOut,
    LayerFreezing,
    MultiStep,
)
from batch.schedules import SCHEDULES

RUN = {"blocks": 4, "iterations": 40, "learning_rate": 0.1}
COMMON = {"blocks": 3, "iterations": 20, "learning_rate": 0.2, "finetune_rate": 0.5}
SPACING = {"t_0": 0.5, "degree": 1, "scaled": False, "count_classifier": True}
STEADY = {key: RUN[key] for key in ("blocks", "learning_rate")}
SAME = "the matched baseline takes FreezeOut's arguments, and its curve does not depend on these"
EPOCHS = {"blocks": 4, "epochs": 2, "examples": 60, "batch_size": 6}
TABLE = {  # the arguments that a schedule needs, and for each of its arguments a value that acts
    FreezeOut: (RUN, {**COMMON, **SPACING}),
    FreezeOut.from_epochs: (
        EPOCHS,
        {
            **{"blocks": 3, "epochs": 3, "examples": 90, "batch_size": 5, "learning_rate": 0.2},
            **{"how_scale": "linear", "scale_lr": False, "t_0": 0.5},
        },
    ),
    Annealed: (RUN, {**COMMON, **dict.fromkeys(SPACING, SAME)}),
    LayerFreezing: (RUN, {**COMMON, "every": 1, "freeze_start": 0.0, "freeze_level": 0.5}),
    AutoFreeze: (RUN, {**COMMON, "every": 1, "percentile": 99.0}),
    Discriminative: (STEADY, {"blocks": 3, "learning_rate": 0.2, "factor": 2.0, "iterations": 9}),
    Constant: (STEADY, {"blocks": 3, "learning_rate": 0.2}),
    MultiStep: (
        RUN,
        {"blocks": 3, "iterations": 20, "learning_rate": 0.2, "milestones": (0.5,), "gamma": 0.1},
    ),
}
CASES = [(made, name) for made in TABLE for name in inspect.signature(made).parameters]


def rates(schedule):
    """The rates of 50 iterations; a schedule that observes training is told of gradients."""
    all_rates = []
    for iteration in range(50):
        all_rates.append(schedule(iteration).tolist())
        if hasattr(schedule, "observe"):
            norms = np.linspace(1.0, 2.0, schedule.blocks) ** iteration
            schedule.observe(iteration, norms)
    return all_rates


@pytest.mark.parametrize(
    ("make", "name"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_every_argument_of_a_schedule_acts(make, name):
    needed, table = TABLE[make]
    assert name in table, f"{make.__qualname__} has an argument {name}: say here what it does"
    before = rates(make(**needed))
    if table[name] is SAME:
        assert rates(make(**needed, **{name: SPACING[name]})) == before
    else:
        assert rates(make(**{**needed, name: table[name]})) != before


def test_every_schedule_is_in_the_table():
    assert set(SCHEDULES.values()) <= set(TABLE)
    assert {(made, name) for made, (_, table) in TABLE.items() for name in table} == set(CASES)
