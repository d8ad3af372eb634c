import batch.schedules
from batch import (
    Annealed,
    AutoFreeze,
    Constant,
    Discriminative,
    FreezeOut,
    LayerFreezing,
    MultiStep,
)
from batch.schedules import autofreeze, decay, freezeout, layer_freezing, make_schedule, rates
from batch.schedules.decay import Decays
from batch.schedules.freezeout import calc_speedup, degree_of, iterations_of

MODULES = (batch.schedules, freezeout, layer_freezing, autofreeze, rates, decay)
RUN = {"blocks": 3, "iterations": 100, "learning_rate": 0.1}
SCHEDULES = {
    "FreezeOut": FreezeOut(**RUN),
    "Annealed": Annealed(**RUN),
    "LayerFreezing": LayerFreezing(**RUN),
    "AutoFreeze": AutoFreeze(**RUN),
    "Discriminative": Discriminative(3, 0.1),
    "Constant": Constant(3, 0.1),
    "MultiStep": MultiStep(**RUN),
    "Decays": Decays(3, 0.1, {"name": "exp", "frequency": 5}),
}
WATCHING = SCHEDULES["AutoFreeze"]
CALLS = {
    "FreezeOut": (FreezeOut, RUN),
    "FreezeOut.from_epochs": (
        FreezeOut.from_epochs,
        {"blocks": 3, "epochs": 2, "examples": 60, "batch_size": 6},
    ),
    "Annealed": (Annealed, RUN),
    "LayerFreezing": (LayerFreezing, RUN),
    "AutoFreeze": (AutoFreeze, RUN),
    "Discriminative": (Discriminative, {"blocks": 3, "learning_rate": 0.1}),
    "Constant": (Constant, {"blocks": 3, "learning_rate": 0.1}),
    "MultiStep": (MultiStep, RUN),
    "Decays": (
        Decays,
        {"blocks": 3, "learning_rate": 0.1, "decays": {"name": "exp", "frequency": 5}},
    ),
    **{f"{name}.__call__": (made.__call__, {"iteration": 3}) for name, made in SCHEDULES.items()},
    "AutoFreeze.observe": (WATCHING.observe, {"iteration": 3, "gradient_norms": [1.0, 2.0, 3.0]}),
    "AutoFreeze.set_state": (WATCHING.set_state, {"state": WATCHING.get_state()}),
    "calc_speedup": (
        calc_speedup,
        {"growth_rate": 12, "depth": 40, "t_0": 0.8, "how_scale": "cubic"},
    ),
    "iterations_of": (iterations_of, {"epochs": 2, "examples": 60, "batch_size": 6}),
    "degree_of": (degree_of, {"how_scale": "cubic"}),
    "make_schedule": (make_schedule, {"spec": ("Constant", {"learning_rate": 0.1}), "blocks": 3}),
}
INTERNAL = {
    **dict.fromkeys(("choose_schedule", "observes", "interval", "snapped"), "called by ours alone"),
    **dict.fromkeys(("KerasRates", "KerasRates.__call__"), "made by choose_schedule alone"),
}
CALLED = {"make_schedule.spec": "schedule", "Decays.decays": "decay"}  # the keys of a config
NUMBER = {"a half": "a number"}
RATE = {**NUMBER, "huge whole": "float32 holds it, as Keras' optimizers do: the loss will tell"}
FLAG = {"True": "true or false"}
ACCEPTED = {
    "learning_rate": RATE,
    "finetune_rate": {**RATE, "None": "no finetuning, the default"},
    "t_0": NUMBER,
    "gamma": NUMBER,
    "epochs": NUMBER,
    "freeze_start": {**NUMBER, "zero": "blocks freeze from the start"},
    "freeze_level": {**NUMBER, "zero": "no block freezes"},
    "percentile": {**NUMBER, "zero": "the lowest of all changes"},
    "every": {"None": "a tenth of the run, the default"},
    "Discriminative.iterations": {"None": "constant rates, the default"},
    "scaled": FLAG,
    "scale_lr": FLAG,
    "count_classifier": FLAG,
    "decays": {"empty list": "a rate without decays"},
    "milestones": {"empty list": "a rate without steps", "empty array": "the same"},
    "iteration": {"zero": "the first iteration"},
}


def state():
    return repr(WATCHING.get_state())


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)


def test_numpys_numbers_are_numbers(case, call_with_numpys):
    call_with_numpys(case)


def test_every_public_call_is_in_the_table(missing_calls):
    assert not missing_calls
