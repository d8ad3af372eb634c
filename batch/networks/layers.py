"""Layers that our networks are made of: convolution and fused batch normalization."""

import inspect
import math

import keras
import numpy as np
import tensorflow as tf

from batch.networks.arguments import (
    BLOCK,
    CONVOLUTION,
    NORMALIZATION,
    Checked,
    bound,
    check_memory,
    checked,
    network_seed,
)
from batch.networks.batch_statistics import by_batch, normalize_by_batch
from batch.runtime import names_not_kept

BATCH_NORM_MOMENTUM = 0.9  # Keras' 0.99 has not settled after a few hundred iterations
LAYOUT = "channels_last"  # of our images, whatever keras.json has


@keras.saving.register_keras_serializable(package="resbatch")
class FusedBatchNormalization(Checked, keras.layers.BatchNormalization):
    """Batch normalization in one fused TensorFlow operation.

    A drop-in for `keras.layers.BatchNormalization`, with the same arguments and weights. Keras
    normalizes with a dozen elementwise operations. On a CPU, that doubles the time of a training
    step of a small ResNet.

    Notes
    -----
    The moving variance is updated with the unbiased estimate n/(n - 1) of the batch variance, where
    n counts the values of a channel in the batch, as PyTorch does; Keras' layer uses the biased
    one. In mixed precision the activations keep the compute dtype; scale, offset and
    statistics are float32.

    Whatever the fused operation cannot do (an axis other than the last, masks, synchronized
    replicas, renormalization, float64) is left to Keras' own implementation.

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, 2015, Algorithm 1.
    """

    def __init__(self, *args, **kwargs):
        arguments = checked(bound(type(self).__init__, args, kwargs), NORMALIZATION)
        _check_renorm(**arguments)
        super().__init__(**arguments)

    __init__.__signature__ = inspect.signature(keras.layers.BatchNormalization.__init__)

    def add_weight(self, *args, **kwargs):
        # The fused operation takes scale and offset in float32, whatever the inputs are.
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    reads_batch_flag = True

    def call(self, inputs, training=None, mask=None):
        flagged = by_batch(self)
        if self._is_fusible(inputs, mask):
            learning = bool(training) and self.trainable and not flagged
            return self._normalize(inputs, learning or flagged, update=learning)
        if flagged:
            return normalize_by_batch(self, inputs, mask)
        return super().call(inputs, training=training, mask=mask)

    def _is_fusible(self, inputs, mask):
        """Whether the fused operation can normalize these inputs."""
        axis = self.axis if isinstance(self.axis, int) else -2
        return (
            isinstance(inputs, tf.Tensor)
            and mask is None
            and not self.synchronized
            and not getattr(self, "renorm", False)
            and axis in (-1, len(inputs.shape) - 1)
            and inputs.dtype in (tf.float32, tf.bfloat16, tf.float16)
        )

    def _normalize(self, inputs, by_batch, update):
        """Normalize by the batch's statistics or the moving ones; `update` the moving ones."""
        channels = inputs.shape[-1]
        images = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, 1, 1, channels))
        outputs = self._fused(images, by_batch, update)
        if outputs.shape.rank != len(inputs.shape):
            outputs = tf.reshape(outputs, tf.shape(inputs))
        outputs.set_shape(inputs.shape)
        return outputs

    def _fused(self, images, by_batch, update):
        moving_mean = tf.convert_to_tensor(self.moving_mean)
        moving_variance = tf.convert_to_tensor(self.moving_variance)
        scale = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones_like(moving_mean)
        offset = tf.convert_to_tensor(self.beta) if self.center else tf.zeros_like(moving_mean)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=scale,
            offset=offset,
            mean=moving_mean,
            variance=moving_variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
            data_format="NHWC",
            is_training=by_batch,
        )
        if update:  # the operation has already averaged the batch into the statistics
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return outputs


def _check_renorm(renorm=False, renorm_clipping=None, renorm_momentum=0.99, **_):
    """Refuse what is for renormalization, without it."""
    if not renorm and (renorm_clipping or renorm_momentum != 0.99):
        name = "renorm_clipping" if renorm_clipping else "renorm_momentum"
        raise ValueError(
            f"{name} does nothing without renorm=True. "
            f"Received: {renorm_clipping or renorm_momentum}"
        )
    limits = renorm_clipping or {}
    if limits.get("rmax", np.inf) < limits.get("rmin", 0.0):
        raise ValueError(f"renorm_clipping must have rmin ≤ rmax. Received: {limits}")


class Block(Checked, keras.layers.Layer):
    """A layer that is made of others: it checks what all layers take.

    What is given as `trainable` goes for the layers within it too.
    """

    def __init__(self, **kwargs):
        super().__init__(**checked(kwargs, BLOCK))

    def build(self, input_shape):  # called last, when the layers within exist
        if not self.trainable:
            for part in self._flatten_layers(include_self=False):
                part.trainable = False


@keras.saving.register_keras_serializable(package="resbatch")
class SymmetricConv2D(Checked, keras.layers.Conv2D):
    """A 'same' convolution that pads both sides alike, as the published networks do.

    For a strided convolution of an even image, Keras pads more at the end. This shifts the outputs
    by a pixel, compared with networks that were trained elsewhere. Kernel sizes must be odd.
    """

    def __init__(self, filters, kernel_size, strides=1, padding="same", **kwargs):
        given = {"filters": filters, "kernel_size": kernel_size, "strides": strides}
        super().__init__(**checked({**given, "padding": padding, **kwargs}, CONVOLUTION))

    def convolution_op(self, inputs, kernel):
        if max(self.strides) == 1 or max(self.kernel_size) == 1:
            return super().convolution_op(inputs, kernel)
        # Not tf.nn.conv2d's own explicit padding: its gradients are ten times slower on a CPU.
        padding = [[0, 0], *([size // 2] * 2 for size in self.kernel_size), [0, 0]]
        return tf.nn.conv2d(tf.pad(inputs, padding), kernel, self.strides, "VALID")


def convolution(
    filters,
    kernel_size,
    strides=1,
    *,
    seed=None,
    dtype=None,
    use_bias=False,
    symmetric=False,
    name=None,
):
    """A 'same' convolution with He initialization, by default without bias.

    The variance is 2/(k²·filters), the backward case of He et al., 2015 (equation 14), as ResNets
    are usually initialized; in a bottleneck it learns faster than the forward case.
    """
    kind = SymmetricConv2D if symmetric else keras.layers.Conv2D
    return kind(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=use_bias,
        data_format=LAYOUT,
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, "fan_out", "untruncated_normal", seed=seed
        ),
        dtype=dtype,
        name=name,
    )


def batch_norm(dtype=None, epsilon=1e-3):
    """Fused batch normalization with the momentum that suits short runs."""
    return FusedBatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=epsilon, dtype=dtype)


def build_in_order(layers, shape):
    """Build layers that follow each other; returns the shape of the last one's outputs."""
    for layer in layers:
        if isinstance(layer, keras.layers.Conv2D):
            weights = math.prod((*layer.kernel_size, shape[-1], layer.filters))
            check_memory(f"{layer.name} of {layer.filters:,} filters", weights)
        elif isinstance(layer, keras.layers.Dense) and shape[-1]:
            check_memory(f"{layer.name} of {layer.units:,} units", shape[-1] * layer.units)
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


def make_seeds(seed, count):
    """Seeds for the parts of a network, made from a single seed."""
    made = np.random.SeedSequence(network_seed(seed)).generate_state(count)
    return [int(value) for value in made]


@names_not_kept()
def sequence(name, input_shape, layers):
    """A network of these blocks, the classifier last."""
    return keras.Sequential([keras.Input(input_shape), *layers], name=name)


def takes_training(layer):
    """Whether a layer's call has the argument `training`."""
    return "training" in inspect.signature(layer.call).parameters


def run(layer, inputs, training):
    """A layer's outputs in training or in inference mode, if it distinguishes the two.

    Raises
    ------
    TypeError
        If a layer decides by a tensor, as by `training`, which a graph can't.
    """
    try:
        return layer(inputs, training=training) if takes_training(layer) else layer(inputs)
    except tf.errors.OperatorNotAllowedInGraphError as error:
        raise TypeError(
            f"The layers of {layer.name} must not decide by a tensor in Python: write `training "
            "and self.trainable` for tf.logical_and(training, self.trainable), or use tf.cond. "
            f"Received: {str(error).strip().splitlines()[0]}"
        ) from error
