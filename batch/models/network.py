"""From a model's config to its network: the model's own, the user's layers, or from a file."""

import contextlib
import os
import zipfile

import keras

from batch.checks import one_of, received
from batch.data.scales import refuse_channels_first
from batch.models.model_file import read_model
from batch.models.network_file import read_keras_file
from batch.networks.copies import copied, kept, with_new_classifier
from batch.networks.keras_models import as_blocks
from batch.networks.keras_settings import check_layout, check_policy_of_ours
from batch.networks.stochastic_depth import with_stochastic_depth

STOCHASTIC = ("survival", "rule", "mode", "scale", "warm_up")


def with_own_layers(config, inputs):
    """The config with the layers of its `network` or `base`: copies, which only this model has.

    They stay as they are, so that `TFModel.reset` finds the initial weights.

    Parameters
    ----------
    config : dict
        Of a `TFModel`.
    inputs : Inputs

    Raises
    ------
    ValueError
        If there are both, or it is not a network.
    """
    given = [key for key in ("network", "base") if config.get(key) is not None]
    if len(given) > 1:
        raise ValueError("Give 'network' or 'base', not both.")
    if not given:
        return config
    seed, is_base = config.get("seed", 0), given == ["base"]
    layers = read_layers(config[given[0]], given[0])
    if len(inputs.shape) == 3:
        check_layout(layers)
    layers = kept(layers, inputs.shape, trainable=is_base, seed=seed)
    if is_base:
        layers = with_new_classifier(layers, inputs.classes, seed)
    _refuse_softmax(layers[-1])
    rest = {key: value for key, value in config.items() if key != "base"}
    return {**rest, "network": layers}


def make_network(model, config, inputs, *, network=None):
    """The network of a model, in its initial state or as it is in a file.

    Parameters
    ----------
    model : TFModel
        It makes the network if the config has none.
    config : dict
        These keys are read: `network`, `precision`, `seed`, those of stochastic depth, and the
        model's options.
    inputs : Inputs
    network : keras.Sequential, optional
        From a file; it is only checked.

    Returns
    -------
    keras.Sequential

    Raises
    ------
    ValueError
        If a value of the config or the network does not fit.
    """
    new = network is None
    config = {**model.DEFAULTS, **config}
    network = _whole_network(model, config, inputs) if new else network
    _check_network(network, inputs)
    return _with_depth(network, config, inputs) if new else network


def _with_depth(network, config, inputs):
    """The network with stochastic depth, if the config has it."""
    depth = {key: config[key] for key in STOCHASTIC if key in config}
    if depth and "survival" not in depth:
        raise ValueError(f"{', '.join(depth)}: without 'survival' no branch is ever dropped.")
    if not depth:
        return network
    layers = with_stochastic_depth(network.layers, **depth, seed=config.get("seed", 0))
    if depth["survival"] == 1:  # the options were checked, but nothing is ever dropped
        return network
    return keras.Sequential([keras.Input(inputs.shape), *layers], name=network.name)


def _whole_network(model, config, inputs):
    """The network without stochastic depth, in the config's precision."""
    precision = one_of("precision", config.get("precision", "float32"), ("float32", "bfloat16"))
    layers, name = config.get("network"), None
    if layers is None:
        network = _published(model, config, inputs)
        if precision == "float32":
            return network
        layers, name = network.layers, network.name
    seed = config.get("seed", 0)
    return copied(layers, inputs.shape, precision=precision, name=name, seed=seed, compare=False)


def _published(model, config, inputs):
    """The network that the model brings itself."""
    if len(inputs.shape) != 3:
        raise ValueError(
            f"{type(model).__name__} takes images of shape (H, W) or (H, W, C): give a "
            f"'network' or 'base' for others. Received: {inputs.shape}"
        )
    refuse_channels_first(inputs.shape)
    check_policy_of_ours()
    options = {key: config[key] for key in model.options()}
    return model.make_network(inputs.shape, inputs.classes, config.get("seed", 0), **options)


def _check_network(network, inputs):
    """Refuse a network that does not fit the inputs, or whose blocks give masks."""
    masking = [block.name for block in network.layers[:-1] if _mask(block) is not None]
    if masking:
        raise ValueError(
            f"{masking[0]} gives a mask, which does not pass from one block to the next: make one "
            "block, as a keras.Sequential, of it and what uses the mask."
        )
    if tuple(network.input_shape[1:]) != inputs.shape:
        raise ValueError(
            f"The network takes images of shape {network.input_shape[1:]}, and 'inputs' says "
            f"{inputs.shape}."
        )
    if network.output_shape != (None, inputs.classes):
        raise ValueError(
            f"The network must give {inputs.classes} logits an image, shape (None, "
            f"{inputs.classes}). Its last layer gives {network.output_shape}"
        )


def _mask(layer):
    return getattr(layer.output, "_keras_mask", None)


def _refuse_softmax(layer):
    """Refuse a classifier that ends in softmax: the loss takes logits."""
    last = layer.layers[-1] if isinstance(layer, keras.Model) else layer
    softmax = isinstance(last, keras.layers.Softmax)
    if softmax or getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            f"The last block must give logits, and {last.name} ends in softmax: make it without, "
            "as with classifier_activation=None."
        )


def read_layers(source, name="network"):
    """The blocks of a network, classifier last.

    Parameters
    ----------
    source : path, keras.Model, or sequence of keras.layers.Layer
        A file that `resbatch train`, `network.save` or `TFModel.save` wrote, a network, or its
        layers. A functional model in a file is cut as `as_blocks` does it by default.

    Returns
    -------
    list of keras.layers.Layer

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(source, (str, os.PathLike)):
        source = _read_network(source, name)
    if isinstance(source, keras.Sequential):
        source = source.layers
    given = isinstance(source, (list, tuple)) and len(source) > 1
    if not given or not all(isinstance(layer, keras.layers.Layer) for layer in source):
        raise ValueError(
            "A network must be a file of a trained one, a keras.Sequential, or a list of Keras "
            "layers, a block and a classifier at least (batch.as_blocks makes one of another "
            f"keras.Model). {received(source)} as {name}"
        )
    return list(source)


def config_of(path):
    """The config of a model from its file, of what `TFModel.save` wrote or of a network alone."""
    if "metadata.json" not in _names(path):  # Keras'
        return {"load": {"path": path}}
    network = _read_network(path, "network")
    if not network.built:
        raise ValueError(f"{path} has no shapes: give it as 'network', and its shapes as 'inputs'.")
    shape, classes = network.input_shape[1:], network.output_shape[-1]
    images = {} if None in shape else {"images": {"shape": shape}}  # else the first images tell it
    return {"network": network, "inputs": {**images, "labels": {"classes": classes}}}


def is_model_file(path):
    """Whether `TFModel.save` wrote a file, with a config beside the network."""
    return "network.keras" in _names(path)


def _names(path):
    """Names of the files in an archive; none if it is no archive."""
    if not os.path.isfile(path) or not zipfile.is_zipfile(path):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:  # whatever zipfile fails with in a broken file
        return ()


def _read_network(path, name):
    if _names(path):
        network = read_model(path)[0] if is_model_file(path) else read_keras_file(path)
        if isinstance(network, keras.Sequential):
            return network
        if hasattr(network, "operations"):
            with contextlib.suppress(ValueError):  # else it can't be cut
                blocks = as_blocks(network)
                return keras.Sequential([keras.Input(network.input_shape[1:]), *blocks])
    raise ValueError(
        f"{path} is no file of a network of blocks, as `resbatch train` or TFModel.save writes it. "
        f"{received(path)} as {name}"
    )
