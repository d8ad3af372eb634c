"""Freezing for good, by `compile`."""

import logging
import re

import keras

from batch.networks.freeze_by_name import learning, named_layers, set_trainable


def freeze_here(network, patterns, before):
    """Freeze what patterns name, and nothing else that `before` names.

    Parameters
    ----------
    network : keras.Sequential
    patterns, before : sequence of str

    Returns
    -------
    list of str
        Patterns of what is frozen by this, and was trainable.
    """
    if len(patterns) and not network.built:
        raise ValueError("To freeze layers, begin the network with keras.Input(shape)")
    named = named_layers(network, patterns)
    for layer in named_layers(network, before).values():
        set_trainable(layer, True)
    here = [re.escape(name) for name, layer in named.items() if layer.trainable]
    for layer in named.values():
        layer.trainable = False
    return here


def say_what_freezes(network, schedule):
    """Say which random layers are in blocks that are frozen or, by a schedule, may become so."""
    if not network.built:
        return
    blocks = zip(network.layers[:-1], learning(network.layers))
    names = [
        f"{part.name} in {block.name}"
        for block, learns in blocks
        for part in (block._flatten_layers() if schedule or not learns else ())  # noqa: SLF001
        if any(isinstance(value, keras.random.SeedGenerator) for value in vars(part).values())
    ]
    if names:
        logging.getLogger(__name__).warning(
            "While their blocks are frozen, these layers do what they do in inference: %s.",
            ", ".join(names),
        )
