"""Wide residual networks: few pre-activation blocks with many channels."""

import re

import keras

from batch.checks import (
    MOST_LAYERS,
    not_negative,
    positive_whole,
    probability,
    received,
    stepped,
    true_or_false,
)
from batch.networks.arguments import (
    MOST_PIXELS,
    channels,
    class_count,
    image_shape,
    layer_seed,
    window,
)
from batch.networks.blocks import Classifier
from batch.networks.layers import (
    Block,
    batch_norm,
    build_in_order,
    convolution,
    make_seeds,
    sequence,
)
from batch.spelling import did_you_mean

MOST_WIDE = 1000

BLOCKS = {  # the types of the paper, section 2.1, and the kernel sizes of their convolutions
    f"B({','.join(map(str, sizes))})": sizes
    for sizes in ((3, 3), (3, 1), (1, 3), (1, 3, 1), (3, 1, 1), (3, 1, 3))
}


@keras.saving.register_keras_serializable(package="resbatch")
class PreActivationBlock(Block):
    """A residual block with batch normalization and ReLU before each convolution.

    It is the block B(3,3) of Wide ResNets (Zagoruyko and Komodakis, 2016, figure 1), or another
    B(M), where M are the sizes of two or three kernels, with dropout between the convolutions.

    Parameters
    ----------
    filters : int
        Channels of every convolution. Where they differ from the input's, or `strides` from 1, a
        1×1 convolution carries the shortcut; then branch and shortcut share the first
        normalization.
    kernel_sizes : sequence of int
        Of the convolutions.
    strides : int
        Of the first 3×3 convolution and the shortcut. The paper does not say which convolution of
        a B(1,3) has it; a 1×1 convolution with a stride would ignore three of four pixels.
    dropout : float
        Share of the features to drop in training, before the last convolution.
    symmetric : bool
        Pad strided convolutions on both sides alike.
    epsilon : float
        Of the batch normalizations.
    seed : int, optional
        Makes the initial weights and the dropout reproducible.
    """

    def __init__(
        self,
        filters,
        strides=1,
        dropout=0.0,
        epsilon=1e-5,
        seed=None,
        kernel_sizes=(3, 3),
        symmetric=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = {
            "filters": channels("filters", filters),
            "kernel_sizes": _kernel_sizes(kernel_sizes),
            "strides": window("strides", strides),
            "dropout": probability("dropout", dropout),
            "epsilon": not_negative("epsilon", epsilon),
            "seed": layer_seed(seed),
            "symmetric": true_or_false("symmetric", symmetric),
        }
        dtype, kernel_sizes = self.dtype_policy, self.config["kernel_sizes"]
        filters, strides, dropout, seed = (
            self.config[name] for name in ("filters", "strides", "dropout", "seed")
        )
        strided = kernel_sizes.index(3)
        self.normalizations = [batch_norm(dtype, epsilon) for _ in kernel_sizes]
        self.convolutions = [
            convolution(
                filters,
                size,
                strides if number == strided else 1,
                seed=None if seed is None else seed + number,
                dtype=dtype,
                symmetric=symmetric,
            )
            for number, size in enumerate(kernel_sizes)
        ]
        self.dropout = keras.layers.Dropout(dropout, seed=seed, dtype=dtype) if dropout else None
        self.projection = None

    def build(self, input_shape):
        pairs = zip(self.normalizations, self.convolutions)
        shape = build_in_order((layer for pair in pairs for layer in pair), input_shape)
        if tuple(shape[1:]) != tuple(input_shape[1:]):
            filters, strides, seed = (self.config[key] for key in ("filters", "strides", "seed"))
            seed = None if seed is None else seed + len(self.convolutions)
            self.projection = convolution(filters, 1, strides, seed=seed, dtype=self.dtype_policy)
            self.projection.build(input_shape)
        super().build(input_shape)

    def entry(self, inputs, training=None):
        """The input of branch and shortcut: normalized, if the shortcut is a convolution."""
        return inputs if self.projection is None else self._activated(0, inputs, training)

    def branch(self, inputs, training=None):
        """The convolutions, whose output is added to the shortcut."""
        outputs = self._activated(0, inputs, training) if self.projection is None else inputs
        for number, conv in enumerate(self.convolutions[:-1], 1):
            outputs = self._activated(number, conv(outputs), training)
        if self.dropout is not None:
            outputs = self.dropout(outputs, training=training)
        return self.convolutions[-1](outputs)

    def shortcut(self, inputs, training=None):
        """The input, projected where the branch changes its shape."""
        return inputs if self.projection is None else self.projection(inputs)

    def activation(self, outputs):
        """The sum of branch and shortcut, unchanged."""
        return outputs

    def call(self, inputs, training=None):
        inputs = self.entry(inputs, training)
        return self.branch(inputs, training) + self.shortcut(inputs, training)

    def _activated(self, number, inputs, training):
        return keras.ops.relu(self.normalizations[number](inputs, training=training))

    def get_config(self):
        return {**super().get_config(), **self.config}


def _kernel_sizes(sizes):
    """Checked sizes of kernels, one of them 3."""
    listed = isinstance(sizes, (list, tuple)) and 3 in [size for size in sizes if size == 3]
    if not listed:
        raise ValueError(f"One of kernel_sizes must be 3. {received(sizes)}")
    return [positive_whole("kernel_sizes", size, MOST_PIXELS) for size in sizes]


def wide_resnet(
    input_shape,
    classes,
    depth=28,
    widen_factor=2,
    *,
    dropout=0.0,
    block="B(3,3)",
    symmetric=False,
    seed=0,
):
    """A Wide ResNet: a stem of 16 channels and three groups of (depth − 4)/6 blocks.

    Parameters
    ----------
    input_shape, classes
        As for `batch.networks.resnet.small_resnet`.
    depth : int
        6n + 4, with n blocks in a group. With blocks B(3,3) it is the number of convolutions, those
        of the stem and the shortcuts included.
    widen_factor : int
        k: the groups have 16k, 32k and 64k channels.
    dropout : float
        Share of the features to drop between the convolutions of a block.
    block : str
        Type of the blocks, one of `BLOCKS`.
    symmetric : bool
        Pad strided convolutions on both sides alike, as PyTorch does: weights from there need it.
    seed : int
        Of the initial weights and of the dropout.

    Returns
    -------
    keras.Sequential
        With the layers stem, block0 …, group after group, and classifier.

    References
    ----------
    Zagoruyko and Komodakis, Wide Residual Networks, 2016, table 1.
    """
    input_shape, classes = image_shape(input_shape), class_count(classes)
    depth = stepped("depth", depth, 10, 6, "6n + 4, as 16, 28 or 40", MOST_LAYERS)
    widen_factor = positive_whole("widen_factor", widen_factor, MOST_WIDE)
    dropout, symmetric = probability("dropout", dropout), true_or_false("symmetric", symmetric)
    kernel_sizes = BLOCKS.get(re.sub(r"\s", "", block)) if isinstance(block, str) else None
    if kernel_sizes is None:
        hint = did_you_mean(block, BLOCKS)
        raise ValueError(f"block must be one of {', '.join(BLOCKS)}. {received(block)}{hint}")
    count = (depth - 4) // 6
    seeds = make_seeds(seed, 3 * count + 2)
    blocks = [
        PreActivationBlock(
            16 * widen_factor * 2**group,
            strides=2 if group and not number else 1,
            dropout=dropout,
            kernel_sizes=kernel_sizes,
            symmetric=symmetric,
            seed=seeds[group * count + number + 1],
            name=f"block{group * count + number}",
        )
        for group in range(3)
        for number in range(count)
    ]
    stem = convolution(16, 3, seed=seeds[0], name="stem")
    classifier = Classifier(classes, seed=seeds[-1], normalize=True, name="classifier")
    return sequence(f"wide_resnet{depth}_{widen_factor}", input_shape, [stem, *blocks, classifier])
