"""Residual networks as sequences of blocks: stem first, classifier last."""

import keras
import numpy as np

from batch.networks.layers import batch_norm, convolution


@keras.saving.register_keras_serializable(package="resbatch")
class Stem(keras.layers.Layer):
    """Convolution, batch normalization, ReLU, max-pooling: from images to features.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides : int
        Of the convolution.
    pool_size : int
        Window and stride of the max-pooling; 1 for none.
    seed : int, optional
        Makes the initial weights reproducible.
    """

    def __init__(self, filters, kernel_size=7, strides=2, pool_size=2, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.config = {
            "filters": filters,
            "kernel_size": kernel_size,
            "strides": strides,
            "pool_size": pool_size,
            "seed": seed,
        }
        self.convolution = convolution(filters, kernel_size, strides, seed, self.dtype_policy)
        self.normalization = batch_norm(self.dtype_policy)
        self.pool = None
        if pool_size > 1:
            self.pool = keras.layers.MaxPooling2D(pool_size, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.convolution.build(input_shape)
        self.normalization.build(self.convolution.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        outputs = keras.ops.relu(self.normalization(self.convolution(inputs), training=training))
        return outputs if self.pool is None else self.pool(outputs)

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="resbatch")
class BottleneckBlock(keras.layers.Layer):
    """1×1, 3×3 and 1×1 convolutions, added to their input (He et al., 2016, figure 5).

    Parameters
    ----------
    filters : sequence of three ints
        Channels after each convolution. Where the last differs from the input's channels, or
        `strides` from 1, a 1×1 convolution with batch normalization carries the shortcut.
    strides : int
        Of the 3×3 convolution and the shortcut.
    seed : int, optional
        Makes the initial weights reproducible.
    """

    def __init__(self, filters, strides=1, seed=None, **kwargs):
        super().__init__(**kwargs)
        if len(filters) != 3:
            raise ValueError(f"filters must be three channel counts. Received: {filters}")
        self.config = {"filters": list(filters), "strides": strides, "seed": seed}
        seeds = [None] * 3 if seed is None else [seed, seed + 1, seed + 2]
        dtype = self.dtype_policy
        self.convolutions = [
            convolution(filters[0], 1, 1, seeds[0], dtype),
            convolution(filters[1], 3, strides, seeds[1], dtype),
            convolution(filters[2], 1, 1, seeds[2], dtype),
        ]
        self.normalizations = [batch_norm(dtype) for _ in filters]
        self.projection = self.projection_normalization = None

    def build(self, input_shape):
        shape = input_shape
        for conv, norm in zip(self.convolutions, self.normalizations):
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            norm.build(shape)
        if tuple(shape[1:]) != tuple(input_shape[1:]):
            self._build_projection(input_shape, shape)

    def _build_projection(self, input_shape, output_shape):
        seed, dtype = self.config["seed"], self.dtype_policy
        seed = None if seed is None else seed + 3
        strides = self.config["strides"]
        self.projection = convolution(output_shape[-1], 1, strides, seed, dtype)
        self.projection.build(input_shape)
        self.projection_normalization = batch_norm(dtype)
        self.projection_normalization.build(output_shape)

    def call(self, inputs, training=None):
        branch = inputs
        for conv, norm in zip(self.convolutions[:-1], self.normalizations[:-1]):
            branch = keras.ops.relu(norm(conv(branch), training=training))
        branch = self.normalizations[-1](self.convolutions[-1](branch), training=training)
        shortcut = inputs
        if self.projection is not None:
            shortcut = self.projection_normalization(self.projection(inputs), training=training)
        return keras.ops.relu(branch + shortcut)

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="resbatch")
class Classifier(keras.layers.Layer):
    """Global average pooling and a dense layer: from features to logits.

    Parameters
    ----------
    classes : int
        Number of classes.
    seed : int, optional
        Makes the initial weights reproducible.
    """

    def __init__(self, classes, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.config = {"classes": classes, "seed": seed}
        # Logits and loss stay in float32 whatever the precision of the features.
        self.pool = keras.layers.GlobalAveragePooling2D(dtype="float32")
        self.dense = keras.layers.Dense(
            classes, kernel_initializer=keras.initializers.HeNormal(seed=seed), dtype="float32"
        )

    def build(self, input_shape):
        self.dense.build((input_shape[0], input_shape[-1]))

    def call(self, inputs):
        return self.dense(self.pool(inputs))

    def get_config(self):
        return {**super().get_config(), **self.config}


def small_resnet(input_shape, classes, seed=0):
    """The small ResNet of the FreezeOut study: a stem and four bottleneck blocks.

    Parameters
    ----------
    input_shape : tuple of ints
        (H, W, C) of the images.
    classes : int
        Number of classes.
    seed : int
        Of the initial weights.

    Returns
    -------
    keras.Sequential
        With the layers stem, block0 … block3, classifier.
    """
    seeds = [int(value) for value in np.random.SeedSequence(seed).generate_state(6)]
    filters = [[32, 32, 128]] * 2 + [[64, 64, 256]] * 2
    blocks = [
        BottleneckBlock(channels, seed=seeds[i + 1], name=f"block{i}")
        for i, channels in enumerate(filters)
    ]
    return keras.Sequential(
        [
            keras.Input(input_shape),
            Stem(32, seed=seeds[0], name="stem"),
            *blocks,
            Classifier(classes, seed=seeds[5], name="classifier"),
        ],
        name="small_resnet",
    )
