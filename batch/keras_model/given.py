"""From what a `BlockModel` is made of to its blocks, and from its blocks to layers."""

import keras
from keras.src.models.functional import Functional

from batch.models.network import read_layers
from batch.networks.keras_models import as_blocks


def network_of(given, cut=None):
    """The blocks of a `BlockModel` as a network; `given` and `cut` are as there."""
    if cut is not None or isinstance(given, Functional):
        given = as_blocks(given, cut)
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], keras.KerasTensor):
        given = keras.Sequential(given)
    layers = read_layers(given)
    if isinstance(given, keras.Sequential):
        return given
    begin = [keras.Input(layers[0].input.shape[1:])] if layers[0].built else []
    return keras.Sequential([*begin, *layers])


def layers_of(network):
    """The layers of a network; in the place of blocks that `as_blocks` has cut, theirs."""
    layers = []
    for block in network.layers:
        within = block.layers if _is_cut(block) else [block]
        layers += within[1:] if layers and _is_cut(block) else within  # a single InputLayer
    return layers


def _is_cut(block):
    """Whether `as_blocks` made a block: it has the name of its last layer."""
    return isinstance(block, Functional) and block.operations[-1].name == block.name
