"""Densely connected networks: each layer takes the outputs of all layers before it."""

import keras

from batch.checks import MOST_CHANNELS, MOST_LAYERS, positive_whole, share, stepped, true_or_false
from batch.networks.arguments import channels, class_count, image_shape, layer_seed
from batch.networks.blocks import Classifier
from batch.networks.layers import (
    LAYOUT,
    Block,
    batch_norm,
    build_in_order,
    convolution,
    make_seeds,
    sequence,
)

EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="resbatch")
class DenseLayer(Block):
    """Batch normalization, ReLU and a 3×3 convolution; its output is joined to the input.

    Parameters
    ----------
    growth_rate : int
        Channels k that it adds.
    bottleneck : bool
        A 1×1 convolution to 4k channels, with a normalization of its own, goes first.
    seed : int, optional
        Makes the initial weights reproducible.
    """

    def __init__(self, growth_rate, bottleneck=True, seed=None, **kwargs):
        super().__init__(**kwargs)
        growth_rate = channels("growth_rate", growth_rate)
        bottleneck, seed = true_or_false("bottleneck", bottleneck), layer_seed(seed)
        self.config = {"growth_rate": growth_rate, "bottleneck": bottleneck, "seed": seed}
        dtype = self.dtype_policy
        shapes = [(4 * growth_rate, 1), (growth_rate, 3)][not bottleneck :]
        self.normalizations = [batch_norm(dtype, EPSILON) for _ in shapes]
        self.convolutions = [
            convolution(filters, size, seed=None if seed is None else seed + number, dtype=dtype)
            for number, (filters, size) in enumerate(shapes)
        ]

    def build(self, input_shape):
        pairs = zip(self.normalizations, self.convolutions)
        build_in_order((layer for pair in pairs for layer in pair), input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        outputs = inputs
        for norm, conv in zip(self.normalizations, self.convolutions):
            outputs = conv(keras.ops.relu(norm(outputs, training=training)))
        return keras.ops.concatenate([inputs, outputs], axis=-1)

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="resbatch")
class Transition(Block):
    """Batch normalization, ReLU, a 1×1 convolution and 2×2 average pooling, between two stages.

    Parameters
    ----------
    filters : int
        Channels of the output.
    seed : int, optional
        Makes the initial weights reproducible.
    """

    def __init__(self, filters, seed=None, **kwargs):
        super().__init__(**kwargs)
        filters, seed = channels("filters", filters), layer_seed(seed)
        self.config = {"filters": filters, "seed": seed}
        self.normalization = batch_norm(self.dtype_policy, EPSILON)
        self.convolution = convolution(filters, 1, seed=seed, dtype=self.dtype_policy)
        self.pool = keras.layers.AveragePooling2D(2, data_format=LAYOUT, dtype=self.dtype_policy)

    def build(self, input_shape):
        if any(size and size < 2 for size in input_shape[1:3]):
            raise ValueError(
                f"{self.name} halves images: they must have at least 2×2 pixels. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        build_in_order((self.normalization, self.convolution), input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        outputs = keras.ops.relu(self.normalization(inputs, training=training))
        return self.pool(self.convolution(outputs))

    def get_config(self):
        return {**super().get_config(), **self.config}


def densenet(
    input_shape, classes, depth=76, growth_rate=12, *, bottleneck=True, compression=0.5, seed=0
):
    """A DenseNet of three stages: DenseNet-BC, or a plain one without bottleneck and compression.

    Parameters
    ----------
    input_shape, classes
        As for `batch.networks.resnet.small_resnet`; images have at least 4×4 pixels.
    depth : int
        L: 6n + 4 with bottlenecks, 3n + 4 without; n layers a stage.
    growth_rate : int
        Channels k that every layer adds.
    bottleneck : bool
        See `DenseLayer`.
    compression : float
        Share θ of the channels that a transition keeps, above 0 and at most 1.
    seed : int
        Of the initial weights.

    Returns
    -------
    keras.Sequential
        With the layers stem, dense0 …, transition0 …, classifier, in their order. The stem has 2k
        channels, or 16 in a network without bottleneck and compression.

    References
    ----------
    Huang et al., Densely Connected Convolutional Networks, 2017, section 3.
    """
    input_shape, classes = image_shape(input_shape, least=4), class_count(classes)
    bottleneck = true_or_false("bottleneck", bottleneck)
    step = 6 if bottleneck else 3
    expected = f"{step}n + 4 {'with' if bottleneck else 'without'} bottlenecks"
    depth = stepped("depth", depth, 4 + step, step, expected, MOST_LAYERS)
    growth_rate = positive_whole("growth_rate", growth_rate, MOST_CHANNELS // depth)
    compression = share("compression", compression)
    count = (depth - 4) // step
    seeds = iter(make_seeds(seed, 3 * count + 4))
    channels = 2 * growth_rate if bottleneck or compression < 1 else 16
    layers = [convolution(channels, 3, seed=next(seeds), name="stem")]
    for stage in range(3):
        for number in range(count):
            name = f"dense{stage * count + number}"
            layers.append(DenseLayer(growth_rate, bottleneck, next(seeds), name=name))
        channels += count * growth_rate
        if stage < 2:
            channels = int(compression * channels)
            layers.append(Transition(channels, next(seeds), name=f"transition{stage}"))
    layers.append(Classifier(classes, next(seeds), normalize=True, name="classifier"))
    return sequence(f"densenet{depth}_{growth_rate}", input_shape, layers)
