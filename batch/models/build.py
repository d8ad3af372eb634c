"""From a model's config to what it stands for: network, optimizer, schedule, trainer."""

import contextlib
import os
import zipfile

import keras
from batchflow import Config
from batchflow.named_expr import NamedExpression

from batch.models.model_file import read_model
from batch.networks.copies import copied, refuse_softmax, with_new_classifier
from batch.networks.freeze_by_name import thaw
from batch.networks.stochastic_depth import with_stochastic_depth
from batch.schedules import make_schedule
from batch.schedules.rates import Constant, KerasRates
from batch.training.optimizers import rate_of

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
STOCHASTIC = ("survival", "rule", "mode", "scale", "warm_up")


def assemble(config, shape, make):
    """The network of a model.

    Parameters
    ----------
    config : dict
        Of a `TFModel`: its `network`, `precision`, `seed` and keys of stochastic depth count.
    shape : tuple of ints
        (H, W, C) of the images.
    make : callable
        Without arguments, to the network where the config has none.

    Returns
    -------
    keras.Sequential

    Raises
    ------
    ValueError
        If a value of the config does not fit.
    """
    precision = config.get("precision", "float32")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be float32 or bfloat16. Received: {precision!r}")
    depth = {key: config[key] for key in STOCHASTIC if key in config}
    if depth and "survival" not in depth:
        raise ValueError(f"{', '.join(depth)}: without 'survival' no branch is ever dropped.")
    own = copied(config["network"], shape, precision) if "network" in config else None
    with _policy(PRECISIONS[precision]):
        network = own or make()
        if not depth:
            return network
        layers = with_stochastic_depth(network.layers, **depth, seed=config.get("seed", 0))
        if depth["survival"] == 1:  # checked, but nothing is ever dropped
            return network
        return keras.Sequential([keras.Input(shape), *layers], name=network.name)


def resolved(config, shape, classes):
    """The config with its own network as a list of layers: its `network`, or its `base`.

    Parameters
    ----------
    config : dict
        Of a `TFModel`.
    shape : tuple of ints
        (H, W, C) of the images.
    classes : int
        Number of classes.

    Raises
    ------
    ValueError
        If there are both, or one of them is no network.
    """
    given = [key for key in ("network", "base") if config.get(key) is not None]
    if len(given) > 1:
        raise ValueError("Give 'network' or 'base', not both.")
    if not given:
        return config
    layers = read_layers(config[given[0]])
    if given == ["base"] or isinstance(config["network"], keras.Sequential):
        layers = copied(layers, shape).layers  # somebody may go on training them
    if given == ["base"]:
        for layer in layers:
            thaw(layer)
        layers = with_new_classifier(layers, classes, config.get("seed", 0))
    refuse_softmax(layers[-1])
    rest = {key: value for key, value in config.items() if key != "base"}
    return {**rest, "network": layers}


@contextlib.contextmanager
def _policy(name):
    """Layers made inside have this dtype policy; the one in force outside comes back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def choose_schedule(config, optimizer, blocks):
    """The schedule of a model: the config's, a constant rate, or the optimizer's.

    Parameters
    ----------
    config : dict
        Its `schedule` or `learning_rate` counts, of which there may be one.
    optimizer : keras.optimizers.Optimizer
        Its rate is a number, or a Keras learning-rate schedule in place of both.
    blocks : int
        Number of blocks, without the classifier.

    Raises
    ------
    ValueError
        If there are several, or one does not fit.
    """
    rate = rate_of(optimizer)
    own = not isinstance(rate, float)
    given = [key for key in ("schedule", "learning_rate") if key in config]
    if len(given) + own > 1:
        names = " and ".join(given + ["the optimizer's own schedule"] * own)
        raise ValueError(f"Give 'learning_rate' or 'schedule', not both. Received: {names}")
    if "schedule" in config:
        return make_schedule(config["schedule"], blocks)
    if own:
        return KerasRates(blocks, rate)
    return Constant(blocks, config.get("learning_rate", rate))


def refuse_expressions(config, where="config"):
    """Refuse named expressions (`B`, `C`, `V`, `F` …) that nobody has evaluated.

    Raises
    ------
    ValueError
        Names the key.
    """
    if isinstance(config, NamedExpression):
        raise ValueError(
            f"{where} is a named expression, {config!r}, which BatchFlow evaluates for dynamic "
            "models only, when their first batch is there: use init_model(name, class, 'dynamic')."
        )
    if isinstance(config, (dict, Config)):
        for key, value in config.items():
            refuse_expressions(value, f"{where}/{key}")
    elif isinstance(config, (list, tuple)):
        for value in config:
            refuse_expressions(value, where)


def read_layers(source):
    """The blocks of a network, classifier last.

    Parameters
    ----------
    source : path, keras.Model, or sequence of keras.layers.Layer
        A file that `resbatch train`, `network.save` or `TFModel.save` wrote, a network, or its
        layers.

    Returns
    -------
    list of keras.layers.Layer

    Raises
    ------
    ValueError
        If it is nothing of that.
    """
    if isinstance(source, (str, os.PathLike)):
        source = _read_network(source)
    if isinstance(source, keras.Sequential):
        source = source.layers
    given = isinstance(source, (list, tuple)) and len(source) > 1
    if not given or not all(isinstance(layer, keras.layers.Layer) for layer in source):
        raise ValueError(
            "A network must be a file of a trained one, a keras.Sequential, or a list of Keras "
            "layers, a block and a classifier at least (batch.as_blocks makes one of another "
            f"keras.Model). Received: {source!r}"
        )
    return list(source)


def _read_network(path):
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            ours = "network.keras" in archive.namelist()
        network = read_model(path)[0] if ours else keras.saving.load_model(path)
        if isinstance(network, keras.Sequential):
            return network
    raise ValueError(
        f"{path} is no file of a network of blocks, as `resbatch train` or TFModel.save writes it."
    )
