"""Checks of the arguments of layers and networks; each returns what it checked."""

import inspect

import keras
import numpy as np

from batch.checks import (
    MOST_CHANNELS,
    finite,
    instance,
    not_negative,
    one_of,
    optional,
    positive_whole,
    probability,
    received,
    sequence,
    true_or_false,
    whole,
)
from batch.machine import free_memory
from batch.nested import MOST_OF_CONFIG, countable

MOST_CLASSES = 2**24
MOST_PIXELS = 2**16  # of one side of an image, or of a window
MOST_SEED = 2**63 - 1
KERAS_SEED = 2**32 - 16  # Keras takes 32 bits, and the convolutions of a block add to it
FLOATING = ("float16", "bfloat16", "float32", "float64")


def channels(name, value):
    """A checked number of channels."""
    return positive_whole(name, value, MOST_CHANNELS)


def unit_counts(name, values):
    """Checked numbers of units of dense layers, as a list."""
    return [channels(name, value) for value in sequence(name, values, "whole numbers")]


def layer_seed(seed):
    """A checked seed of a layer: None draws anew."""
    return optional(whole, "seed", seed, 0, KERAS_SEED)


def network_seed(seed):
    """A checked seed of a network: None draws anew."""
    return optional(whole, "seed", seed, 0, MOST_SEED)


def window(name, value, odd=False):
    """A checked window or stride: a whole number above 0, or a pair of them."""
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    try:
        sizes = [positive_whole(name, size, MOST_PIXELS) for size in (value if pair else [value])]
    except ValueError:
        sizes = []
    if not sizes or (odd and not all(size % 2 for size in sizes)):
        raise ValueError(
            f"{name} must be {'odd, ' * odd}a whole number above 0, or two of them, at most "
            f"{MOST_PIXELS:,}. {received(value)}"
        )
    return tuple(sizes) if pair else sizes[0]


def image_shape(shape, least=1):
    """A checked `input_shape` (H, W, C) of a network whose images have `least` pixels a side.

    H and W may be None, for images of any size.
    """
    sizes = list(shape) if isinstance(shape, (list, tuple)) else []
    try:
        checked = [
            size if size is None and axis < 2 else whole("size", size, 1, MOST_PIXELS)
            for axis, size in enumerate(sizes)
        ]
    except ValueError:
        checked = []
    if len(checked) != 3 or any(size is not None and size < least for size in checked[:2]):
        raise ValueError(
            f"input_shape must be (H, W, C), of images of at least {least}×{least} pixels. "
            f"{received(shape)}"
        )
    return tuple(checked)


def class_count(classes, least=2):
    """A checked number of classes."""
    return whole("classes", classes, least, MOST_CLASSES)


def a_layer(name, value):
    """The value, if it is a Keras layer."""
    return instance(name, value, keras.layers.Layer, "a Keras layer")


def layers_of(name, values):
    """The values as a list, if they are a sequence of Keras layers."""
    layers = list(values) if isinstance(values, (list, tuple)) else []
    if not layers or not all(isinstance(layer, keras.layers.Layer) for layer in layers):
        raise TypeError(f"{name} must be a list of Keras layers, not empty. {received(values)}")
    return layers


def check_dtype(arguments, name, layer):
    """Refuse a `dtype` that is not that of the layer within, which computes in its own."""
    given = arguments.get("dtype")
    if given is not None and keras.dtype_policies.get(_dtype("dtype", given)) != layer.dtype_policy:
        raise ValueError(
            f"dtype must be that of {name}, {layer.dtype_policy.name}. {received(given)}"
        )


def check_memory(name, weights):
    """Refuse a layer whose weights, float32, do not fit the free memory."""
    free = free_memory()
    if 4 * weights > free:
        raise ValueError(
            f"{name} is too large: it has {weights:,} weights of 4 bytes, and {free:,} bytes of "
            "memory are free."
        )


def _name(name, value):
    if value is not None and (not isinstance(value, str) or not value or "/" in value):
        raise ValueError(f"{name} must be a text without '/'. {received(value)}")
    return value


def _dtype(name, value):
    try:
        policy = keras.dtype_policies.get(value)
    except Exception:  # Keras names neither the argument nor what it may be in all of them
        policy = None
    quantized = isinstance(policy, keras.dtype_policies.QuantizedDTypePolicy)
    if policy is None or quantized or policy.compute_dtype not in FLOATING:
        raise ValueError(
            f"{name} must be {', '.join(FLOATING)}, or a Keras policy of them, as mixed_bfloat16. "
            f"{received(value)}"
        )
    return value


def _keras_object(get, kind):
    """A check of what one of Keras' `get` functions must know."""

    def check(name, value):
        if isinstance(value, np.ndarray) and kind == "initializer":
            finite(name, value, (1, 2, 3, 4))
            return value
        try:
            known = callable(get(value))
        except Exception:  # Keras' messages are of many lines, and do not name the argument
            known = False
        if not known:
            raise ValueError(f"{name} must be one of Keras' {kind}s. {received(value)}")
        return value

    return check


def _initial(name, value):
    return _keras_object(keras.initializers.get, "initializer")(name, value)


def _penalty(name, value):
    return optional(_keras_object(keras.regularizers.get, "regularizer"), name, value)


def _limit(name, value):
    return optional(_keras_object(keras.constraints.get, "constraint"), name, value)


def _axis(name, value):
    return whole(name, value, -8, 7)


def _clipping(name, value):
    keys = ("rmin", "rmax", "dmax")
    if value is not None and (not isinstance(value, dict) or set(value) - set(keys)):
        raise ValueError(f"{name} must be a dict with {', '.join(keys)}. {received(value)}")
    return value and {key: not_negative(f"{name}/{key}", limit) for key, limit in value.items()}


def _function(name, value):
    return optional(_keras_object(keras.activations.get, "activation"), name, value)


def _casting(name, value):
    if not true_or_false(name, value):
        raise ValueError(
            f"{name} must be True: the layers within cast their inputs. Received: False"
        )
    return True


def _odd(name, value):
    return window(name, value, odd=True)


def _same(name, value):
    if not isinstance(value, str) or value.lower() != "same":
        raise ValueError(f"{name} must be 'same'. {received(value)}")
    return value


def _channels_last(name, value):
    return optional(one_of, name, value, ("channels_last",))


LAYER = {
    **{"name": _name, "dtype": _dtype, "trainable": true_or_false, "autocast": true_or_false},
    "activity_regularizer": _penalty,
}
BLOCK = {**LAYER, "autocast": _casting}
CONVOLUTION = {
    **LAYER,
    **{"filters": channels, "kernel_size": _odd, "groups": channels, "use_bias": true_or_false},
    **dict.fromkeys(("strides", "dilation_rate"), window),
    **{"padding": _same, "data_format": _channels_last, "activation": _function},
    **{f"{part}_initializer": _initial for part in ("kernel", "bias")},
    **{f"{part}_regularizer": _penalty for part in ("kernel", "bias")},
    **{f"{part}_constraint": _limit for part in ("kernel", "bias")},
}
NORMALIZATION = {
    **LAYER,
    **{"axis": _axis, "momentum": probability, "epsilon": not_negative},
    **dict.fromkeys(("center", "scale", "renorm", "synchronized"), true_or_false),
    **{"renorm_clipping": _clipping, "renorm_momentum": probability},
    **{f"{part}_initializer": _initial for part in ("beta", "gamma")},
    **{f"moving_{part}_initializer": _initial for part in ("mean", "variance")},
    **{f"{part}_regularizer": _penalty for part in ("beta", "gamma")},
    **{f"{part}_constraint": _limit for part in ("beta", "gamma")},
}


def checked(arguments, checks):
    """The arguments with those that have a check replaced by what it returns."""
    return {
        name: checks[name](name, value) if name in checks else value
        for name, value in arguments.items()
    }


class Checked:
    """A layer that takes no list in which Keras would recurse for ever, as one within itself."""

    def __new__(cls, *args, **kwargs):
        for name, value in bound(cls.__init__, args, kwargs).items():
            countable(name, value, MOST_OF_CONFIG)
        try:
            return super().__new__(cls, *args, **kwargs)
        except RecursionError:
            given = bound(cls.__init__, args, kwargs)
            lists = {key: value for key, value in given.items() if isinstance(value, (list, dict))}
            raise ValueError(
                f"{' and '.join(lists)} of {cls.__name__}: one contains itself. {received(lists)}"
            ) from None


def bound(function, args, kwargs):
    """The arguments of a constructor's call, by their names."""
    given = inspect.signature(function).bind_partial(None, *args, **kwargs).arguments
    named = {**given.pop("kwargs", {}), **given}
    return {name: value for name, value in named.items() if name != "self"}
