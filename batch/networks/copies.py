"""Copies of a network's blocks: in another precision, or with a new classifier."""

import keras

from batch.networks.blocks import Classifier
from batch.networks.stochastic_depth import StochasticDepth

MIXED = "mixed_bfloat16"
INPUTS = ("InputLayer", "__keras_tensor__")  # their dtype is that of the inputs


def with_new_classifier(layers, classes, seed=0):
    """The blocks of a trained network, and a new classifier.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer
        The last is a `Classifier`, a dense layer, or a Keras model of just one of these. The new
        classifier is like it, but with other classes and without an activation.
    classes : int
        Number of classes.
    seed : int
        Of the new classifier's weights.

    Raises
    ------
    ValueError
        If the last layer is of another kind.
    """
    *blocks, old = layers
    if isinstance(old, keras.Model):
        inner = [part for part in old.layers if not isinstance(part, keras.layers.InputLayer)]
        old = inner[0] if len(inner) == 1 else old
    if isinstance(old, Classifier):
        return [
            *blocks,
            Classifier.from_config({**old.get_config(), "classes": classes, "seed": seed}),
        ]
    if type(old) is keras.layers.Dense:
        initializer = keras.initializers.HeNormal(seed=seed)
        changes = {"units": classes, "kernel_initializer": initializer, "activation": None}
        config = {**old.get_config(), **changes}
        return [*blocks, keras.layers.Dense.from_config(config)]
    raise ValueError(
        "A base must end in a Classifier or a dense layer, in whose place a new one comes; give "
        f"others as 'network', with a classifier of your own. Received: {type(old).__name__}"
    )


def copied(layers, shape, *, precision="float32", trainable=False, name=None):
    """A network of new layers like those given, with their weights where they have some.

    So several models can use one list, and none of them changes the user's layers. Blocks with
    stochastic depth begin at step 0. In precision 'bfloat16' the copies compute in mixed precision
    (weights, statistics and logits stay float32). In 'float32' they compute as the given layers do.
    Untrainable layers stay untrainable, unless `trainable`.
    """
    if precision == "bfloat16":
        twins = _in_bfloat16(layers)
    else:
        twins = [type(layer).from_config(layer.get_config()) for layer in layers]
    network = keras.Sequential([keras.Input(shape), *twins], name=name)
    if precision == "bfloat16":
        _check_bfloat16(network.layers[:-1])
    for layer, twin in zip(layers, twins):
        parts = (whole._flatten_layers() for whole in (layer, twin))  # noqa: SLF001 all within, too
        for part, twin_part in zip(*parts):
            twin_part.trainable = trainable or part.trainable
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


def _in_bfloat16(layers):
    """New layers, not built, in mixed precision; the classifier stays in its own."""
    *blocks, classifier = layers
    made = [type(block).from_config(_mixed(block.get_config())) for block in blocks]
    return [*made, type(classifier).from_config(classifier.get_config())]


def _check_bfloat16(blocks):
    """Refuse built blocks that compute in float32 although their configs say otherwise."""
    for block in blocks:
        inner = block._flatten_layers()  # noqa: SLF001 itself and all within
        if block.weights and all(part.compute_dtype != "bfloat16" for part in inner):
            raise ValueError(
                f"{block.name} does not take its precision from its config: for precision "
                f"'bfloat16', make it with dtype='{MIXED}'."
            )


def _mixed(config):
    """A layer's config with mixed precision in place of float32, in all layers within it.

    Operations that are no layers, as a cast to a type, stay as they are.
    """
    if isinstance(config, (list, tuple)):
        return type(config)(_mixed(part) for part in config)
    if not isinstance(config, dict) or config.get("class_name") in INPUTS:
        return config
    made = {key: _mixed(value) for key, value in config.items()}
    policy = config.get("dtype")
    if isinstance(policy, dict):
        policy = policy.get("config", {}).get("name")
    if policy == "float32" and "trainable" in config:
        made["dtype"] = MIXED
    return made
