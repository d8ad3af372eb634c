"""From a model's config to its parts: network, optimizer, loss, schedule. It is read only here."""

import dataclasses
import os
from collections.abc import Callable

import keras
import tensorflow as tf

from batch.checks import whole
from batch.data.scales import refuse_channels_first
from batch.models.fetches import make_fetches
from batch.models.inputs import KEYS as INPUT_KEYS
from batch.models.inputs import Inputs, read_inputs
from batch.models.model_file import read_model
from batch.models.network import STOCHASTIC, make_network, read_layers, with_own_layers
from batch.models.torch_config import KEYS as TORCH_KEYS
from batch.models.torch_config import waits_for_images, with_shape
from batch.networks.arguments import MOST_SEED
from batch.networks.entrance import entrance
from batch.networks.freeze_by_name import freeze_layers, frozen_names, inference_names
from batch.networks.keras_settings import check_settings
from batch.networks.remake import own_classes
from batch.networks.stochastic_depth import StochasticDepth
from batch.runtime import names_not_kept
from batch.schedules import choose_schedule
from batch.shown import short
from batch.training.losses import make_loss
from batch.training.optimizers import make_optimizer, rate_of
from batch.training.preprocessing import Preprocessing, make_preprocessing
from batch.training.strategy import make_strategy

KEYS = {  # of a model's config, as `read_config` takes them
    "inputs": {"*": INPUT_KEYS},
    "input_block": ("inputs",),
    "normalize": ("mean", "std"),
    "augment": ("pad", "flip", "views"),
    **dict.fromkeys(("output", "network", "base", "freeze", "inference_mode", "cache")),
    **dict.fromkeys(("optimizer", "learning_rate", "schedule", "decay", "weight_decay", "loss")),
    **dict.fromkeys(("frozen_batch_norm", "seed", "precision", "microbatch_size", *STOCHASTIC)),
    **dict.fromkeys(("depthwise_gradient", "strategy")),
    **dict.fromkeys(TORCH_KEYS),
}
NETWORK = ("precision", *STOCHASTIC)  # keys that decide how a network is made


@dataclasses.dataclass(frozen=True)
class Parts:
    """The parts of a model, as its config describes them.

    Attributes
    ----------
    config : dict
        Checked; a network in it is a list of layers that only this model has.
    inputs : Inputs
    fetches : dict
        As from `make_fetches`.
    network : keras.Sequential
    optimizer : keras.optimizers.Optimizer
        The blocks' optimizers will be copies of it.
    loss : callable
        From class numbers `(n,)` and logits `(n, classes)` to losses.
    preprocessing : Preprocessing
    schedule : callable
    inference_mode : set of str
        Names of the blocks that run in inference mode even while they learn.
    strategy : tf.distribute.Strategy or None
    """

    config: dict
    inputs: Inputs
    fetches: dict
    network: keras.Sequential
    optimizer: keras.optimizers.Optimizer
    loss: Callable
    preprocessing: Preprocessing
    schedule: Callable
    inference_mode: set
    strategy: tf.distribute.Strategy | None


@names_not_kept()
def build(model, config, network=None):
    """Make the parts of a model, in their initial state.

    Parameters
    ----------
    model : TFModel
        It makes the network if the config has none.
    config : dict
        From `read_config`.
    network : keras.Sequential, optional
        From a file, in place of a new network.

    Raises
    ------
    ValueError
        If a value does not fit.
    """
    check_settings()
    strategy = make_strategy(config.get("strategy"))
    inputs = read_inputs(config.get("inputs"), config.get("input_block"))
    fetches = make_fetches(config.get("output"))
    if "seed" in config:
        config = {**config, "seed": whole("seed", config["seed"], 0, MOST_SEED)}
    config = with_own_layers(config, inputs)
    unused = [key for key in model.options() if key in config and "network" in config]
    if unused:
        raise ValueError(f"Give 'network' or {', '.join(unused)}, not both.")
    network = make_network(model, config, inputs, network=network)
    if config.get("freeze") is not None:
        freeze_layers(network, config["freeze"])
    inference_mode = inference_names(network, config.get("inference_mode"))
    optimizer = make_optimizer(config.get("optimizer", "SGD"))
    rate = rate_of(optimizer)
    loss = make_loss(config.get("loss", "softmax_cross_entropy"), inputs.one_hot)
    preprocessing = make_preprocessing(config, inputs.shape)
    inputs = _with_entrance(inputs, network, preprocessing)
    schedule = choose_schedule(config, rate, len(network.layers) - 1)
    return Parts(
        config=config,
        inputs=inputs,
        fetches=fetches,
        network=network,
        optimizer=optimizer,
        loss=loss,
        preprocessing=preprocessing,
        schedule=schedule,
        inference_mode=inference_mode,
        strategy=strategy,
    )


def _with_entrance(inputs, network, preprocessing):
    """The inputs with what becomes of their scale, if the channels are where the network has them.

    A network of the user's own may take channels first, and permute them.
    """
    found = entrance(network, preprocessing.inference)
    if found.channels_last:
        refuse_channels_first(inputs.shape)
    return dataclasses.replace(inputs, entrance=found)


@names_not_kept()
def reopen(model, path, config):
    """The parts of a model from a file that `TFModel.save` wrote.

    Parameters
    ----------
    model, config
        As for `build`. Entries of the config replace those in the file.
    path : path

    Returns
    -------
    parts : Parts
    state, changed
        For `restore`.

    Raises
    ------
    ValueError
        If the file is not one of ours, or the config would change its network.
    """
    network, saved, left_out, state = read_model(path, _given_classes(config))
    missing = [key for key in left_out if key not in config]
    if missing:
        raise ValueError(
            f"{path} was saved without its {' and '.join(missing)}, which no file can hold: "
            "give the config that has them."
        )
    if config and waits_for_images(config):
        config = with_shape(config, network.input_shape[1:])
    saved = _as_own(model, path, saved, network)
    fixed = (*NETWORK, *model.options())
    changed = [key for key in fixed if key in config and config[key] != saved.get(key)]
    if changed:
        raise ValueError(
            f"The network in {path} is as it was made, and {', '.join(changed)} can't change "
            f"it. Received: {', '.join(f'{key}={short(config[key])}' for key in changed)}"
        )
    if saved.get("freeze") is not None:  # Keras' file says it of whole blocks only
        freeze_layers(network, saved["freeze"])
    frozen = [frozen_names(layer) for layer in network.layers]
    config = {key: value for key, value in config.items() if not _is_source(key, value)}
    if config.get("cache") == "auto" and not isinstance(saved.get("cache"), (str, type(None))):
        del config["cache"]  # the number that it became when the saved model was made
    parts = build(model, {**saved, **config}, network)
    if "network" in saved and "network" not in config:
        for layer in parts.config["network"]:  # `TFModel.reset` begins from them
            if isinstance(layer, StochasticDepth):
                layer.steps.assign(0)
    now = [frozen_names(layer) for layer in network.layers]
    changed = [block for block, names in enumerate(now) if names != frozen[block]]
    return parts, state, changed


def _as_own(model, path, saved, network):
    """The config in a file, as one of this model: a `TFModel` takes any network as its own."""
    known = set(model.keys())
    foreign = [key for key in saved if key not in known]
    if model.brings_network() or "network" in saved:
        if foreign:
            raise ValueError(
                f"{path} has a network with {', '.join(foreign)}, which {type(model).__name__} "
                "does not have: load it with the class that saved it, or with TFModel."
            )
        return saved
    saved = {key: value for key, value in saved.items() if key not in foreign}
    return {**saved, "network": network.layers}


def _given_classes(config):
    """The user's own classes in the network of a config, which a file may hold too."""
    given = [config[key] for key in ("network", "base") if config.get(key) is not None]
    return own_classes(
        layer
        for source in given
        if not isinstance(source, (str, os.PathLike))
        for layer in read_layers(source)
    )


def _is_source(key, value):
    """Whether an entry only says where the network came from; the model's file has the network."""
    return key == "base" or (key == "network" and isinstance(value, (str, os.PathLike)))
