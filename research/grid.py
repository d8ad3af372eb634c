"""A grid: several settings of methods, each of which is a method of the comparison by its label."""

import argparse
import dataclasses
import itertools

from batch.spelling import did_you_mean
from research.methods.options import SHARED

SWITCHES = {"true": True, "yes": True, "false": False, "no": False}
LEFT_OUT = ("milestones", "cache")  # a list itself; what changes no losses
NAMES = tuple(name for name, option in SHARED.items() if option.flag and name not in LEFT_OUT)


def axis(text):
    """An option and its values, from a text as 't_0=0.5,0.8'.

    Raises
    ------
    argparse.ArgumentTypeError
        If there is no such option, or a value is not one of its.
    """
    name, _, listed = text.partition("=")
    name = name.strip().replace("-", "_")
    if name not in NAMES:
        raise argparse.ArgumentTypeError(
            f"must be an option of {', '.join(NAMES)} with its values, as t_0=0.5,0.8, not {text!r}"
            f"{did_you_mean(name, NAMES)}"
        )
    values = tuple(_value(name, part.strip()) for part in listed.split(","))
    if len(set(values)) < max(2, len(values)):
        raise argparse.ArgumentTypeError(f"must give {name} two values or more, not {listed!r}")
    return name, values


def expanded(experiments, grid):
    """An experiment for each setting, of the methods that read the options.

    Parameters
    ----------
    experiments : dict from str to Experiment
        By their labels.
    grid : dict from str to tuple
        The values of each option.

    Returns
    -------
    named : dict from str to Experiment
        By labels as 'freezeout t_0=0.5, how_scale=linear'.
    settings : dict from str to dict
        The values of those that were made of the grid, by their labels.
    """
    named, settings = {}, {}
    for label, experiment in experiments.items():
        axes = {name: grid[name] for name in grid if name in experiment.trained_by.options}
        for values in itertools.product(*axes.values()):
            own = dict(zip(axes, values))
            whole = f"{label} {as_text(own)}".strip()
            named[whole] = dataclasses.replace(experiment, **own)
            if own:
                settings[whole] = own
    return named, settings


def as_text(values):
    """Values of options as in 't_0=0.5, how_scale=linear'."""
    return ", ".join(f"{name}={_shown(value)}" for name, value in values.items())


def _shown(value):
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _value(name, text):
    """The value of an option, as its flag takes it."""
    flag = SHARED[name].flag
    if "choices" in flag or "action" in flag:
        known = SWITCHES if "action" in flag else {value: value for value in flag["choices"]}
        if text not in known:
            raise argparse.ArgumentTypeError(
                f"{name} must be one of {', '.join(known)}, not {text!r}{did_you_mean(text, known)}"
            )
        return known[text]
    try:
        return flag["type"](text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{name} {error}") from error
