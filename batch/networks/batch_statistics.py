"""Batch normalization that uses the statistics of the batch and does not update the moving ones.

Which layers do so is a flag. Each layer reads it when it is called, and every thread has its own.
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
    """Whether this thread has flagged a normalization to use the batch's statistics."""
    return any(layer is flagged for flagged in getattr(_flag, "layers", ()))


@contextlib.contextmanager
def batch_statistics(layers):
    """Within this context, normalizations use the batch's mean and variance in every mode.

    Their moving statistics are neither used nor updated. Other threads are not affected.
    """
    before = getattr(_flag, "layers", ())
    for layer in layers:
        _make_it_read(layer)
    _flag.layers = (*before, *layers)
    try:
        yield
    finally:
        _flag.layers = before


def normalize_by_batch(layer, inputs, mask=None):
    """Batch normalization as Keras does it in training, but without updating the statistics."""
    wide = keras.ops.cast(inputs, layer.variable_dtype)
    mean, variance = layer._moments(wide, mask)  # noqa: SLF001 masked or synchronized, as it is
    scale, offset = layer.gamma, layer.beta
    if getattr(layer, "renorm", False):
        r, d, *_ = layer._renorm_correction_and_moments(mean, variance)  # noqa: SLF001
        scale, offset = layer._compose_transforms(r, d, scale, offset, wide.dtype)  # noqa: SLF001
    outputs = keras.ops.batch_normalization(
        wide, mean, variance, layer.axis, offset, scale, layer.epsilon
    )
    return keras.ops.cast(outputs, inputs.dtype)


def _make_it_read(layer):
    """Make a normalization that is not ours read the flag; needed once for each layer."""
    if not getattr(layer, "reads_batch_flag", False):
        layer.call = functools.partial(_call, layer, layer.call)
        layer.reads_batch_flag = True


def _call(layer, call, inputs, training=None, mask=None):  # arguments as Keras passes them
    if by_batch(layer):
        return normalize_by_batch(layer, inputs, mask)
    return call(inputs, training=training, mask=mask)
