"""All settings that are in force in a run: those that were asked for, and the defaults of others.

They stand in `experiment.json`, in plain values, for each method.
"""

import math

from batch.shown import short

UNSAID = ("network", "base", "inference_mode", "seed", "schedule", "learning_rate", "decay")
IDLE = ("t_0", "degree", "scaled", "count_classifier")  # arguments that change nothing in Annealed


def in_force(experiment, data):
    """The settings in force in a run of an experiment.

    Parameters
    ----------
    experiment : Experiment
    data : utils.Data

    Returns
    -------
    dict
        In plain values: `network`, `iterations`, `batch_size`, `optimizer` and `schedule` with
        all their arguments, and the entries of the model's config with their defaults. What is None
        or off may be left out.
    """
    from batch.training.optimizers import make_optimizer
    from research.experiments.experiment import count_blocks

    config = experiment.config(data)
    optimizer = make_optimizer(config["optimizer"])
    blocks = count_blocks(experiment, data)
    return {
        "network": _network(experiment),
        **{name: getattr(experiment, name) for name in ("iterations", "batch_size")},
        **_model(config, experiment),
        "optimizer": _optimizer(optimizer),
        "schedule": _schedule(config, optimizer, blocks),
    }


def _network(experiment):
    from batch.models.named import MODELS

    if experiment.base:
        frozen = {"freeze_first": experiment.freeze_first, "freeze": list(experiment.freeze)}
        return {"name": experiment.base, **{key: value for key, value in frozen.items() if value}}
    options = {**MODELS[experiment.model].DEFAULTS, **experiment.model_options}
    return _known({"name": experiment.model, **options})


def _model(config, experiment):
    """What the model's config says, and what it has where the config says nothing."""
    from batch.networks.layers import BATCH_NORM_MOMENTUM
    from research.experiments.experiment import CROPS

    defaults = {
        "loss": "softmax_cross_entropy",
        "frozen_batch_norm": "inference",
        "depthwise_gradient": "tensorflow",
        **({} if experiment.base else {"batch_norm_momentum": BATCH_NORM_MOMENTUM}),
        **({"rule": "linear", "mode": "batch", "scale": "inference"} if _drops(config) else {}),
    }
    own = {key: config[key] for key in config if key not in (*UNSAID, "optimizer")}
    own = {key: value for key, value in own.items() if key not in experiment.model_options}
    if own.get("augment") is True:
        own["augment"] = CROPS
    return _known({**defaults, **own})


def _drops(config):
    return config.get("survival", 1) != 1


def _optimizer(optimizer):
    from batch.training.optimizers import FusedSGD

    name = "SGD" if isinstance(optimizer, FusedSGD) else type(optimizer).__name__
    unsaid = "learning_rate", *(() if optimizer.use_ema else ("use_ema", "ema_momentum"))
    arguments = {**optimizer.get_config(), "name": name}
    return _known({key: arguments[key] for key in ("name", *arguments) if key not in unsaid})


def _schedule(config, optimizer, blocks):
    """Name and arguments of what gives the rates."""
    from batch.schedules import choose_schedule
    from batch.training.optimizers import rate_of

    schedule = choose_schedule(config, rate_of(optimizer), blocks)
    name = type(schedule).__name__
    if not type(schedule).__module__.startswith("batch."):
        return {"name": _plain(schedule)}
    arguments = schedule.get_config() if hasattr(schedule, "get_config") else {}
    if config.get("decay") is not None:
        arguments = {key: config.get(key) for key in ("learning_rate", "decay")}
    idle = IDLE if name == "Annealed" else ()
    return _known({"name": name, **{key: arguments[key] for key in arguments if key not in idle}})


def _known(values):
    """The entries that are not None, in plain values."""
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value):
    if isinstance(value, dict):
        return _known({str(key): entry for key, entry in value.items()})
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if callable(value):  # without its address, which is another one each time
        return getattr(value, "__qualname__", type(value).__qualname__)
    return value if type(value) in (str, bool, int) else short(value)
