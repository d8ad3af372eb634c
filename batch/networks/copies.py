"""Copies of a network's blocks: in another precision, or with a new classifier."""

import keras

from batch.networks.blocks import Classifier
from batch.networks.equality import BFLOAT16, refuse_unequal
from batch.networks.layer_state import copy_state, pairs, refuse_shared
from batch.networks.remake import is_keras, own_classes, remade
from batch.networks.stochastic_depth import StochasticDepth
from batch.runtime import names_not_kept, seeded

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
        changes = {
            **{"units": classes, "kernel_initializer": keras.initializers.HeNormal(seed=seed)},
            **{"activation": None, "lora_rank": None, "lora_alpha": None},
        }
        config = {**old.get_config(), **changes}
        if old.quantization_mode:  # integers can't learn
            config["dtype"] = old.dtype_policy.get_config()["source_name"]
        with keras.saving.custom_object_scope(own_classes([old])):
            return [*blocks, keras.layers.Dense.from_config(config)]
    raise ValueError(
        "A base must end in a Classifier or a dense layer, in whose place a new one comes; give "
        f"others as 'network', with a classifier of your own. Received: {type(old).__name__}"
    )


@names_not_kept()
def copied(layers, shape, *, precision="float32", trainable=False, name=None, seed=0, compare=True):
    """A network of new layers like those given, with their state where they have some.

    So several models can use one list, and none of them changes the user's layers. State is all
    that decides what a layer computes: weights, what was adapted, vocabularies, quantization, LoRA.
    Untrainable layers stay untrainable, unless `trainable`.

    Blocks with stochastic depth begin at step 0, unless they warm up. Random generators begin anew.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer
    shape : tuple of int
        Of an input.
    precision : {'float32', 'bfloat16'}
        In 'bfloat16' the copies compute in mixed precision (weights, statistics and logits stay
        float32). In 'float32' they compute as the given layers do.
    trainable : bool
        Make all layers trainable.
    name : str, optional
        Of the network.
    seed : int
        Of the weights of layers that are not built, and of what dropout and other random layers
        draw, where they have no seeds of their own.
    compare : bool
        Compare outputs. Copies that `kept` made need it only in another precision.

    Returns
    -------
    keras.Sequential
        Its outputs for some inputs are those of the given layers: exactly, or in 'bfloat16' to
        within a tenth of their norm.

    Raises
    ------
    ValueError
        If a layer can't be copied, is used in several blocks, or its copy computes something else.
    """
    _check_blocks(layers)
    with seeded(seed), keras.saving.custom_object_scope(own_classes(layers)):
        changes = [_mixed if precision == "bfloat16" else None] * (len(layers) - 1)
        twins = [remade(*pair) for pair in zip(layers, [*changes, None])]
        network = keras.Sequential([keras.Input(shape), *twins], name=name)
    if precision == "bfloat16":
        _check_bfloat16(network.layers[:-1])
    else:
        _check_policies(layers, twins)
    for layer, twin in zip(layers, twins):
        copy_state(layer, twin, shape, trainable)
        if isinstance(twin, StochasticDepth) and not twin.warm_up:
            twin.steps.assign(0)
    if compare or precision == "bfloat16":
        refuse_unequal(layers, twins, shape, BFLOAT16 if precision == "bfloat16" else 0.0)
    return network


@names_not_kept()
def kept(layers, shape, *, trainable=False, seed=0):
    """Copies of layers that stay as these are now, for networks to be `copied` from later.

    Where no layer has a state yet, neither have the copies: they are not built, and their weights
    come from the seed every time. The parameters are those of `copied`.
    """
    _check_blocks(layers)
    parts = [part for layer in layers for part in layer._flatten_layers()]  # noqa: SLF001
    if any(part.weights or (part.built and not is_keras(part)) for part in parts):
        return copied(layers, shape, trainable=trainable, seed=seed).layers
    with seeded(seed), keras.saving.custom_object_scope(own_classes(layers)):
        twins = [remade(layer) for layer in layers]
    for layer, twin in zip(layers, twins):
        copy_state(layer, twin, shape, trainable)
    _check_policies(layers, twins)
    return twins


def _check_blocks(layers):
    """Refuse blocks of the same name, or with something in common."""
    if len({id(layer) for layer in layers}) < len(layers):
        twice = next(layer.name for number, layer in enumerate(layers) if layer in layers[:number])
        raise ValueError(f"{twice} is given as several blocks: give each a layer of its own.")
    named = {}
    for layer in layers:
        if named.setdefault(layer.name, layer) is not layer:
            raise ValueError(f"Two blocks are called {layer.name}: give each a name of its own.")
    refuse_shared(layers)


def _check_policies(layers, twins):
    """Refuse copies that compute in another precision, as one set for all of Keras since."""
    for part, twin in (pair for both in zip(layers, twins) for pair in pairs(*both)):
        if part.dtype_policy != twin.dtype_policy:
            raise ValueError(
                f"{part.name} can't be copied: it has the dtype policy {part.dtype_policy.name}, "
                f"and its config makes a layer with {twin.dtype_policy.name}."
            )


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
