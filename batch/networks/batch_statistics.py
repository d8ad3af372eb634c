"""Batch normalization by the statistics of the batch that leaves the moving ones alone.

Which layers do so is a flag that each of them reads when it is called. Every thread has its own.
"""

import contextlib
import functools
import threading

import keras

_flag = threading.local()


def normalizations(layer):
    """All batch normalizations in a layer, Keras' own and ours."""
    inner = layer._flatten_layers()  # noqa: SLF001 itself and all within
    return [part for part in inner if isinstance(part, keras.layers.BatchNormalization)]


def by_batch(layer):
    """Whether a normalization is to use the batch's statistics, and leave the moving ones alone."""
    return any(layer is flagged for flagged in getattr(_flag, "layers", ()))


@contextlib.contextmanager
def batch_statistics(layers):
    """Inside, these normalizations use the batch's mean and variance, whatever mode they are in.

    Their moving statistics neither count nor move.
    """
    before = getattr(_flag, "layers", ())
    for layer in layers:
        _let_it_read(layer)
    _flag.layers = (*before, *layers)
    try:
        yield
    finally:
        _flag.layers = before


def normalize_by_batch(layer, inputs):
    """What Keras' batch normalization gives in training, without its update of the statistics."""
    axes = [axis for axis in range(len(inputs.shape)) if axis != layer.axis % len(inputs.shape)]
    wide = keras.ops.cast(inputs, layer.variable_dtype)
    mean, variance = keras.ops.moments(wide, axes)
    outputs = keras.ops.batch_normalization(
        wide, mean, variance, layer.axis, layer.beta, layer.gamma, layer.epsilon
    )
    return keras.ops.cast(outputs, inputs.dtype)


def _let_it_read(layer):
    """Have a normalization of another library read the flag, once and for all."""
    if not getattr(layer, "reads_batch_flag", False):
        layer.call = functools.partial(_call, layer, layer.call)
        layer.reads_batch_flag = True


def _call(layer, call, inputs, training=None, mask=None):
    if by_batch(layer):
        return normalize_by_batch(layer, inputs)
    return call(inputs, training=training, mask=mask)
