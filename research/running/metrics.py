"""The file of metrics that `callbacks.MetricsLog` writes: one JSON object per line."""

import json
import pathlib

from research.experiments import bases


def read_metrics(path):
    """The objects in a file that `MetricsLog` writes; an incomplete last line is left out."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def default_name(experiment, data_name, epochs=None):
    """A name made of the settings, as the program published with FreezeOut makes it.

    As in `densenet_k12L76_ice80_cubicTrue_seed0_epochs100_cifar100`: network, 100·t_0, spacing,
    whether rates are scaled, seed, length, data. Other methods have their name in place of these.
    """
    letters = {
        "growth_rate": "k",
        "widen_factor": "w",
        "depth": "L",
        "block": "",
        "dropout": "drop",
    }
    options = experiment.model_options
    network = "".join(f"{short}{options[key]}" for key, short in letters.items() if key in options)
    method = experiment.trained_by
    named = method.file_name(experiment) if method.file_name else method.name
    length = f"epochs{epochs}" if epochs else f"iterations{experiment.iterations}"
    if experiment.base:
        network = f"first{experiment.freeze_first}" + "named" * bool(experiment.freeze)
    name = bases.title(experiment.base) if experiment.base else experiment.model
    parts = (name, network, named, f"seed{experiment.seed}", length, data_name)
    return "_".join(part for part in parts if part)
