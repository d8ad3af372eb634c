"""From a model's config to its network: whose blocks, how precise, dropped at random or not."""

import contextlib

import keras

from batch.freezing import thaw
from batch.networks.stochastic_depth import StochasticDepth, with_stochastic_depth
from batch.precision import check_bfloat16, in_bfloat16
from batch.transfer import read_layers, with_new_classifier

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
    _refuse_softmax(layers[-1])
    rest = {key: value for key, value in config.items() if key != "base"}
    return {**rest, "network": layers}


def check_network(network, shape, classes):
    """Refuse a network that does not fit the images and classes, or whose blocks pass masks on."""
    masking = [one.name for one in network.layers[:-1] if _mask(one) is not None]
    if masking:
        raise ValueError(
            f"{masking[0]} gives a mask, which does not pass from one block to the next: make one "
            "block, as a keras.Sequential, of it and what uses the mask."
        )
    if tuple(network.input_shape[1:]) != shape:
        raise ValueError(
            f"The network takes images of shape {network.input_shape[1:]}, and 'inputs' says "
            f"{shape}."
        )
    if network.output_shape != (None, classes):
        raise ValueError(
            f"The network must give {classes} logits an image, shape (None, {classes}). Its last "
            f"layer gives {network.output_shape}"
        )


def _mask(layer):
    return getattr(layer.output, "_keras_mask", None)


def _refuse_softmax(layer):
    last = layer.layers[-1] if isinstance(layer, keras.Model) else layer
    softmax = isinstance(last, keras.layers.Softmax)
    if softmax or getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            f"The last block must give logits, and {last.name} ends in softmax: make it without, "
            "as with classifier_activation=None."
        )


def copied(layers, shape, precision="float32"):
    """A network of new layers like those given, with their weights where they have some.

    So one list can serve for several models, and none of them changes the user's layers. Blocks
    with stochastic depth have made no steps yet. With 'bfloat16' they compute in mixed precision;
    with 'float32', as those given do.
    """
    if precision == "bfloat16":
        twins = in_bfloat16(layers)
    else:
        twins = [type(layer).from_config(layer.get_config()) for layer in layers]
    network = keras.Sequential([keras.Input(shape), *twins])
    if precision == "bfloat16":
        check_bfloat16(network.layers[:-1])
    for layer, twin in zip(layers, twins):
        for one, other in zip(*(each._flatten_layers() for each in (layer, twin))):  # noqa: SLF001
            other.trainable = one.trainable
        if layer.built:
            _copy_weights(layer, twin, shape)
        if isinstance(twin, StochasticDepth):
            twin.steps.assign(0)
    return network


def _copy_weights(layer, twin, shape):
    try:
        twin.set_weights(layer.get_weights())
    except ValueError as error:
        raise ValueError(
            f"{layer.name} was made for other images than those of shape {shape}: {error}"
        ) from error


@contextlib.contextmanager
def _policy(name):
    """Layers made inside have this dtype policy; the one in force outside comes back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
