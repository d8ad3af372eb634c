"""What a network does to the scale of its images before a layer with weights mixes their pixels."""

import dataclasses
import functools

import keras
import numpy as np

from batch.networks.layers import run

FAINT = 1 / 8  # the least difference of black and white that is no fault
OF_ANY_SCALE = (
    keras.layers.BatchNormalization,
    keras.layers.Embedding,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)


@dataclasses.dataclass(frozen=True)
class Entrance:
    """What becomes of images on their way to the first layer with weights.

    Attributes
    ----------
    gain : float
        What a difference of 1 between two pixels has become there: 1/255 after `Rescaling(1/255)`.
    any_scale : bool
        Images of any scale may enter: that layer normalizes or counts them, or can't be known.
    channels_last : bool
        That layer is known, and the images' last axis is still that of the channels.
    by : tuple of str
        Names of what made differences smaller.
    """

    gain: float = 1.0
    any_scale: bool = True
    channels_last: bool = False
    by: tuple = ()

    @property
    def is_of_255(self):
        """Whether it scales pixels from 0 to 255; those from 0 to 1 become all but black."""
        return self.gain < FAINT


ANY = Entrance()  # nothing is known


def entrance(network, prepare):
    """Try on black, half white and white images what becomes of their scale.

    Parameters
    ----------
    network : keras.Sequential
    prepare : callable
        What is done to images, float32, before the network takes them.

    Returns
    -------
    Entrance
    """
    shape = network.input_shape[1:]
    if len(shape) != 3:  # rows of words or features have no scale
        return ANY
    dim = np.zeros((3, *shape), np.float32)
    dim[1, :, : shape[1] // 2] = dim[2] = 1
    dim, bright = (prepare(keras.ops.convert_to_tensor(images)) for images in (dim, 255 * dim))
    gain = _spread(dim)
    by, first = ["'normalize'"] * (gain < 1), None
    for layer, apply in _steps(network):
        if apply is None or _has_weights(layer):
            first = layer
            break
        before = gain
        try:
            dim, bright = apply(dim), apply(bright)
        except Exception:  # it takes no such images, and nothing is known of its own
            return ANY
        gain = _spread(dim)
        by += [layer.name] * (gain < before)
    if not _spread(bright) > 16 * gain > 0:  # each image is normalized by itself, or clipped
        return ANY
    known = type(first).__module__.startswith(("keras.", "batch."))
    channels_first = getattr(first, "data_format", None) == "channels_first"
    return Entrance(
        gain=gain,
        any_scale=not known or isinstance(first, OF_ANY_SCALE),
        channels_last=known and dim.shape[-1] == shape[-1] and not channels_first,
        by=tuple(by),
    )


def _spread(images):
    """The largest difference between black and white ones, in any place."""
    images = keras.ops.convert_to_numpy(images).astype(np.float32)
    return float((images.max(axis=0) - images.min(axis=0)).max())


def _has_weights(layer):
    """Whether it learns from mixing pixels, or has learnt; statistics for scaling do not count."""
    return bool(getattr(layer, "weights", ())) and not isinstance(layer, keras.layers.Normalization)


def _steps(layer):
    """Layers and operations in the order in which they take a layer's input, and how to apply each.

    Where more than one of them takes what goes on, a pair of None ends it.
    """
    if isinstance(layer, keras.Sequential):
        for inner in layer.layers:
            yield from _steps(inner)
    elif isinstance(layer, keras.Model) and hasattr(layer, "operations"):
        yield from _chain(layer)
    else:
        yield layer, lambda inputs: run(layer, inputs, training=False)


def _chain(model):
    """The same for a functional model."""
    by_depth = model._nodes_by_depth  # noqa: SLF001
    nodes = [node for depth in by_depth for node in by_depth[depth]]
    tensor = model.inputs[0]
    while tensor is not model.outputs[0]:
        uses = [node for node in nodes if id(tensor) in map(id, node.arguments.keras_tensors)]
        if len(uses) != 1 or len(uses[0].arguments.keras_tensors) != 1:
            yield None, None
            return
        if isinstance(uses[0].operation, keras.layers.Layer):
            yield from _steps(uses[0].operation)
        else:
            yield uses[0].operation, functools.partial(_applied, uses[0], id(tensor))
        tensor = uses[0].outputs[0]


def _applied(node, tensor, inputs):
    args, kwargs = node.arguments.fill_in({tensor: inputs})
    return node.operation(*args, **kwargs)
