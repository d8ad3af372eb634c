"""Freezing for good: blocks, and layers inside them, by patterns of their names."""

import re

import keras
from keras.src.models.functional import Functional

from batch.checks import received
from batch.networks.fade_in import FadeIn
from batch.networks.layers import takes_training
from batch.networks.stochastic_depth import StochasticDepth
from batch.shown import short
from batch.spelling import did_you_mean

PASSING_ON = (keras.Sequential, Functional)  # they give `training` to their layers, no more


def freeze_layers(network, patterns):
    """Freeze the blocks and layers whose names match some patterns; make all others trainable.

    Parameters
    ----------
    network : keras.Sequential
        Its layers are the blocks.
    patterns : str or sequence of str
        Regular expressions for whole names: of a block with weights, as 'block[0-3]', or of a layer
        with weights inside a block, as 'block0/normalizations/.*' (see `layer_names`).

    Raises
    ------
    ValueError
        If a pattern is no regular expression, or matches nothing.
    """
    matched = named_layers(network, patterns)
    unfreeze(network)
    for layer in matched.values():
        layer.trainable = False


def named_layers(network, patterns):
    """The blocks and layers that patterns name, as for `freeze_layers`, by their names."""
    named = {}
    for block in network.layers:
        named |= {**({block.name: block} if block.weights else {}), **layer_names(block)}
    return {name: named[name] for name in matching(patterns, named)}


def inference_names(network, patterns):
    """Names of the blocks that run in inference mode even while they learn.

    Parameters
    ----------
    network : keras.Sequential
    patterns : str or sequence of str, or None
        Regular expressions for whole names of blocks.

    Raises
    ------
    ValueError
        As from `matching`, or if a block fades in, since it does so in training mode only.
    """
    named = {block.name: block for block in network.layers}
    names = matching([] if patterns is None else patterns, named, "inference_mode")
    fading = [name for name in names if isinstance(named[name], FadeIn)]
    if fading:
        raise ValueError(f"{fading[0]} would never fade in: leave it out of inference_mode.")
    return names


def unfreeze(layer):
    """Make a layer and all within it trainable."""
    # Each by itself: a layer that is trainable already does not pass it on to the layers within.
    for part in layer._flatten_layers():  # noqa: SLF001
        set_trainable(part, True)


def set_trainable(layer, trainable):
    """Make a layer and all within it trainable or not; under LoRA, the large weight never is."""
    layer.trainable = trainable
    if getattr(layer, "lora_enabled", False):
        large = "_embeddings" if hasattr(layer, "_embeddings") else "_kernel"
        getattr(layer, large).trainable = False


def learning(layers):
    """Whether each block and, last, the classifier may learn, or is frozen for good.

    A block without weights that computes the same in training and in inference mode, as a scaling,
    a ReLU or a pooling, has nothing to learn: it is as the block before it, at the start as the one
    after it, so that it does not stand between frozen blocks and their cache.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer
        Of a network.

    Returns
    -------
    list of bool
    """
    able = [_can_learn(layer) for layer in layers]
    follows = [not layer.weights and not distinguishes(layer) for layer in layers[:-1]] + [False]
    learns = able[follows.index(False)]
    for place, following in enumerate(follows):
        learns = able[place] = learns if following else able[place]
    return able


def distinguishes(layer):
    """Whether a layer, or one within it, may compute something else in training."""
    parts = layer._flatten_layers()  # noqa: SLF001
    return any(takes_training(part) for part in parts if type(part) not in PASSING_ON)


def _can_learn(block):
    """Whether a block is not frozen for good."""
    frozen = not all(part.trainable for part in block._flatten_layers())  # noqa: SLF001
    return bool(block.trainable_variables) or not block.weights or not frozen


def frozen_names(block):
    """Names of the layers in a block, itself included, that are frozen for good."""
    named = {block.name: block, **layer_names(block)}
    return {name for name, layer in named.items() if not layer.trainable}


def layer_names(block):
    """The layers with weights inside a block, by their names in patterns.

    Parameters
    ----------
    block : keras.layers.Layer

    Returns
    -------
    dict from str to keras.layers.Layer
        The name of the block, a slash, and the attributes that lead to the layer, as in
        'block0/convolutions/1'; or, in a Keras model, the layer's own name, as in
        'conv2_block3_out/conv2_block1_1_conv'. Empty for a block that is a single layer.
    """
    return {f"{block.name}/{path}": layer for path, layer in _inner(block) if layer.weights}


def matching(patterns, names, where="freeze"):
    """The names that match some regular expressions, each as a whole.

    Raises
    ------
    ValueError
        If a pattern is no regular expression, or matches no name.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(patterns, (list, tuple)):
        raise ValueError(f"{where} must be a list of regular expressions. {received(patterns)}")
    matched = set()
    for pattern in patterns:
        try:
            by_pattern = {name for name in names if re.fullmatch(pattern, name)}
        except (re.error, TypeError) as error:
            raise ValueError(
                f"{where} must be regular expressions. {received(pattern)} ({error})"
            ) from error
        if not by_pattern:
            blocks = [name for name in names if "/" not in name]
            inner = next((f", or a layer in them, as {name}" for name in names if "/" in name), "")
            raise ValueError(
                f"{where}: {short(pattern)} matches nothing. Expected: {', '.join(blocks)}{inner}. "
                f"{received(patterns)}"
                f"{did_you_mean(pattern, names)}"
            )
        matched |= by_pattern
    return matched


def _inner(layer):
    """Paths and layers of the innermost layers of a layer."""
    layer = layer.block if isinstance(layer, StochasticDepth) else layer
    if isinstance(layer, keras.Model):
        parts = [(part.name, part) for part in layer.layers]
    else:
        parts = [part for item in vars(layer).items() for part in _parts(*item)]
    for name, part in parts:
        inner = [(f"{name}/{path}", innermost) for path, innermost in _inner(part)]
        yield from inner or [(name, part)]


def _parts(name, value):
    """Layers in an attribute: its value, or the items of a list."""
    if name.startswith("_"):
        return
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            if isinstance(part, keras.layers.Layer):
                yield f"{name}/{number}", part
