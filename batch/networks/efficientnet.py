"""EfficientNet-Lite0: a small network for fine-tuning on CPUs, without squeeze-and-excitation."""

import keras

from batch.checks import positive_whole, probability
from batch.networks.arguments import channels, class_count, image_shape, layer_seed, window
from batch.networks.blocks import Classifier, ConvolutionBlock
from batch.networks.layers import (
    LAYOUT,
    Block,
    batch_norm,
    build_in_order,
    convolution,
    make_seeds,
    sequence,
)

EPSILON = 1e-3
MOST_STRIDE, MOST_EXPANSION = 2**16, 1000
IMAGENET = {  # what `normalize` takes for the published weights
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
STAGES = (  # blocks, kernel size, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@keras.saving.register_keras_serializable(package="resbatch")
class LinearBottleneck(Block):
    """A 1×1 convolution that widens, a depthwise convolution, and a 1×1 one that narrows.

    Batch normalization follows each of them, and ReLU6 the first two (Sandler et al., MobileNetV2,
    2018, section 3).

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides : int
        Of the depthwise convolution.
    expansion : int
        How many times as many channels the depthwise convolution has as the input; 1 leaves out the
        convolution that widens.
    seed : int, optional
        Makes the initial weights reproducible.
    """

    def __init__(self, filters, kernel_size=3, strides=1, expansion=6, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.config = {
            "filters": channels("filters", filters),
            "kernel_size": window("kernel_size", kernel_size),
            "strides": positive_whole("strides", strides, MOST_STRIDE),
            "expansion": positive_whole("expansion", expansion, MOST_EXPANSION),
            "seed": layer_seed(seed),
        }

    def build(self, input_shape):
        seeds = [None] * 3 if self.config["seed"] is None else make_seeds(self.config["seed"], 3)
        dtype, expansion = self.dtype_policy, self.config["expansion"]
        self.convolutions = [
            keras.layers.DepthwiseConv2D(
                self.config["kernel_size"],
                self.config["strides"],
                padding="same",
                use_bias=False,
                data_format=LAYOUT,
                depthwise_initializer=keras.initializers.VarianceScaling(
                    # Of one input channel for each output channel: 2/k², as for a convolution.
                    2.0 * input_shape[-1] * expansion,
                    "fan_in",
                    "untruncated_normal",
                    seed=seeds[1],
                ),
                dtype=dtype,
            ),
            convolution(self.config["filters"], 1, seed=seeds[2], dtype=dtype),
        ]
        if expansion > 1:
            wide = convolution(expansion * input_shape[-1], 1, seed=seeds[0], dtype=dtype)
            self.convolutions.insert(0, wide)
        self.normalizations = [batch_norm(dtype, EPSILON) for _ in self.convolutions]
        pairs = zip(self.convolutions, self.normalizations)
        build_in_order((layer for pair in pairs for layer in pair), input_shape)
        super().build(input_shape)

    def compute_output_shape(self, input_shape):
        size = [side and -(-side // self.config["strides"]) for side in input_shape[1:3]]
        return (input_shape[0], *size, self.config["filters"])

    def _narrow(self, inputs, training):
        for conv, norm in zip(self.convolutions[:-1], self.normalizations[:-1]):
            inputs = keras.ops.relu6(norm(conv(inputs), training=training))
        return self.normalizations[-1](self.convolutions[-1](inputs), training=training)

    def call(self, inputs, training=None):
        return self._narrow(inputs, training)

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="resbatch")
class InvertedResidual(LinearBottleneck):
    """A `LinearBottleneck` that is added to its input, whose shape it keeps."""

    def build(self, input_shape):
        filters, strides = self.config["filters"], self.config["strides"]
        if strides != 1:
            raise ValueError(f"strides must be 1, to keep the images' size. Received: {strides}")
        if filters != input_shape[-1]:
            raise ValueError(
                f"filters must be the {input_shape[-1]} channels of the inputs. Received: {filters}"
            )
        super().build(input_shape)

    def branch(self, inputs, training=None):
        """The convolutions, whose output is added to the input."""
        return self._narrow(inputs, training)

    def shortcut(self, inputs, training=None):
        """The input."""
        return inputs

    def activation(self, outputs):
        """The sum of branch and input, unchanged."""
        return outputs

    def call(self, inputs, training=None):
        return inputs + self._narrow(inputs, training)


def efficientnet_lite0(input_shape, classes, *, dropout=0.2, seed=0):
    """EfficientNet-Lite0: a stem, 16 blocks, a head of 1,280 channels, and the classifier.

    Parameters
    ----------
    input_shape, classes
        As for `batch.networks.resnet.small_resnet`. The published weights are for colour images,
        normalized by ImageNet's means and deviations, of 224×224; smaller ones work.
    dropout : float
        Share of the features to drop in training, before the dense layer.
    seed : int
        Of the initial weights and of the dropout.

    Returns
    -------
    keras.Sequential
        With the layers stem, block0 … block15, head, classifier.

    References
    ----------
    Tan and Le, EfficientNet, 2019, table 1; without squeeze-and-excitation and with ReLU6, as in
    the EfficientNet-Lite that TensorFlow's authors published in 2020.
    """
    input_shape, classes = image_shape(input_shape), class_count(classes)
    dropout = probability("dropout", dropout)
    seeds = iter(make_seeds(seed, sum(stage[0] for stage in STAGES) + 3))
    like = {"activation": "relu6", "epsilon": EPSILON}
    layers = [ConvolutionBlock(32, 3, strides=2, seed=next(seeds), name="stem", **like)]
    for count, kernel_size, strides, expansion, filters in STAGES:
        for number in range(count):
            kind = InvertedResidual if number else LinearBottleneck
            block = kind(
                filters,
                kernel_size,
                1 if number else strides,
                expansion,
                seed=next(seeds),
                name=f"block{len(layers) - 1}",
            )
            layers.append(block)
    layers.append(ConvolutionBlock(1280, 1, seed=next(seeds), name="head", **like))
    layers.append(Classifier(classes, seed=next(seeds), dropout=dropout, name="classifier"))
    return sequence("efficientnet_lite0", input_shape, layers)
