"""What the options of a command mean: data, experiment, what is recorded, and where it lies."""

import dataclasses
import hashlib

import numpy as np

from research.methods.options import SHARED, SPACING, STEPS

ROWS = 1000  # images that are hashed at a time


def prepared(options):
    """Data, and TensorFlow with its threads: data first, for they fail faster."""
    from research.experiments import splits

    data = splits.prepared(options)
    from batch.runtime import set_threads

    return data, set_threads(options.threads)


def experiment_of(options, data, **changes):
    """The experiment that the options describe, but for what `changes` say."""
    from batch.schedules.freezeout import iterations_of
    from research.experiments.experiment import Experiment

    names = {field.name for field in dataclasses.fields(Experiment)} - {"method", "seed"}
    given = {name: getattr(options, name) for name in names}
    if options.epochs:
        rows = len(data.train.labels)
        given["iterations"] = iterations_of(options.epochs, rows, options.batch_size)
    return Experiment(**given, **changes)


def settings_of(options, base, data, named, seeds):
    """What it takes to run it again; what the methods have no use for is left out.

    Parameters
    ----------
    options : argparse.Namespace
    base : Experiment
        What the experiments have in common.
    data : utils.Data
    named : dict from str to Experiment
    seeds : sequence of int
    """
    from batch.models.named import MODELS
    from research.experiments import bases

    study = getattr(options, "study", None)
    defaults = {} if study or base.base else MODELS[base.model].DEFAULTS
    plain = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    settings = plain | defaults | base.model_options
    settings["freeze_first"] = base.freeze_first or options.depths
    if base.base:
        settings["base_sha256"] = bases.digest(base.base)
    unused = {"data", "method", "seed", "model_options", *_unread(base, named, study)}
    unused |= {"model"} if base.base else set()
    grid = dict(getattr(options, "grid", ()))
    unused |= grid.keys()
    settings = {
        name: value
        for name, value in settings.items()
        if name not in unused and value is not None and value != ()
    }
    data_choices = "validate", "image_size", "skip_broken"
    choices = (*data_choices, "const_time", "equal_time", "study", "costs", "margin", "target")
    chosen = {name: getattr(options, name) for name in choices if getattr(options, name, None)}
    longer = chosen.keys() & {"const_time", "equal_time"}  # runs and schedules are longer
    if "freeze_iterations" not in unused and not longer:
        settings.setdefault("freeze_iterations", base.iterations)
    return {
        "command": options.command,
        **chosen,
        "data": str(options.data),
        "train_images": len(data.train.labels),
        "test_images": len(data.test.labels),
        **settings,
        **({"grid": {name: list(values) for name, values in grid.items()}} if grid else {}),
        "methods": list(
            dict.fromkeys(
                label if study else run.trained_by.source or run.label
                for label, run in named.items()
            )
        ),
        "seeds": list(seeds),
    }


def _unread(base, named, study):
    """Names of the options that none of the experiments reads from what they have in common."""
    read = {name for run in named.values() for name in run.trained_by.options}
    read |= {"cache"} if any(run.freezes_for_good for run in named.values()) else set()
    if not base.milestones:
        read -= STEPS.keys()
    if study:
        read -= SPACING.keys()
    return SHARED.keys() - read


def predicting(options, named, costs, data):
    """The costs of blocks that predictions are made from."""
    from research.experiments import prediction

    return prediction.measured(named, costs, data) if options.costs == "measured" else costs


def recorded(named, costs, iterations, data):
    """What to record of experiments: data, methods, settings, lengths and predicted times."""
    from research.experiments import prediction
    from research.experiments.in_force import in_force
    from research.verdicts import labels

    return {
        "data": data.summary(),
        **({"classes": data.names} if data.names else {}),
        "methods": labels.describe(named),
        "in_force": {label: in_force(run, data) for label, run in named.items()},
        "iterations": {label: run.iterations for label, run in named.items()},
        "predicted_ratio": {
            label: prediction.predicted_ratio(run, costs[label], iterations, len(data.train.labels))
            for label, run in named.items()
        },
    }


def environment_now(threads=None):
    """Versions and machine, as `experiment.json` has them."""
    from research.environment import describe

    return describe(threads)


def asked_of(settings, data, threads, named):
    """What decides the bits of a command's results, in plain values."""
    from research.verdicts.labels import describe, files_of

    digest = hashlib.sha256()
    for split in (data.train, data.test):
        for start in range(0, len(split.labels), ROWS):
            digest.update(np.ascontiguousarray(split.images[start : start + ROWS]))
        digest.update(np.ascontiguousarray(split.labels))
    files = files_of(describe(named))
    known = {"data_sha256": digest.hexdigest(), **({"method_files": files} if files else {})}
    return {**settings, "threads": str(threads), **known}
