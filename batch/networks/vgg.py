"""VGG networks with batch normalization."""

from batch.checks import as_number, probability, received, true_or_false
from batch.networks.arguments import class_count, image_shape, unit_counts
from batch.networks.blocks import Classifier, ConvolutionBlock
from batch.networks.layers import make_seeds, sequence

CONFIGURATIONS = {  # convolutions of each of the five stages
    "A": (1, 1, 2, 2, 2),
    "B": (2, 2, 2, 2, 2),
    "D": (2, 2, 3, 3, 3),
    "E": (2, 2, 4, 4, 4),
}
DEPTHS = {11: "A", 13: "B", 16: "D", 19: "E"}  # counted with the paper's three dense layers
CHANNELS = (64, 128, 256, 512, 512)


def vgg(
    input_shape,
    classes,
    depth="D",
    *,
    batch_normalization=True,
    use_bias=False,
    hidden=(),
    dropout=0.0,
    seed=0,
):
    """A VGG network: five stages of 3×3 convolutions, each with pooling.

    By default it is one for small images: every convolution has batch normalization, and a single
    dense layer classifies the average of the last stage's output. The paper's, for images of
    224×224, has `batch_normalization=False, use_bias=True, hidden=(4096, 4096), dropout=0.5`.

    Parameters
    ----------
    input_shape, classes
        As for `batch.networks.resnet.small_resnet`.
    depth : {'A', 'B', 'D', 'E', 11, 13, 16, 19}
        The paper's configuration, or its number of weight layers.
    batch_normalization : bool
        Whether the convolutions have batch normalization.
    use_bias : bool
        Whether they have biases.
    hidden : sequence of int
        Units of the dense layers before the last one.
    dropout : float
        Share of the features to drop in training, as in `batch.networks.blocks.Classifier`.
    seed : int
        Of the initial weights and of the dropout.

    Returns
    -------
    keras.Sequential
        With the layers block0 …, each a convolution, and classifier.

    References
    ----------
    Simonyan and Zisserman, Very Deep Convolutional Networks, 2015, table 1.
    """
    input_shape, classes = image_shape(input_shape), class_count(classes)
    batch_normalization = true_or_false("batch_normalization", batch_normalization)
    use_bias = true_or_false("use_bias", use_bias)
    hidden, dropout = unit_counts("hidden", hidden), probability("dropout", dropout)
    name = _configuration(depth)
    seeds = make_seeds(seed, sum(CONFIGURATIONS[name]) + 1)
    blocks = []
    for count, channels in zip(CONFIGURATIONS[name], CHANNELS):
        for number in range(count):
            block = ConvolutionBlock(
                channels,
                pool_size=2 if number == count - 1 else 1,
                pool_padding="same",
                use_bias=use_bias,
                normalize=batch_normalization,
                epsilon=1e-5,
                seed=seeds[len(blocks)],
                name=f"block{len(blocks)}",
            )
            blocks.append(block)
    dense = {"hidden": hidden, "dropout": dropout}
    classifier = Classifier(classes, seed=seeds[-1], name="classifier", **dense)
    return sequence(f"vgg_{name.lower()}", input_shape, [*blocks, classifier])


def _configuration(depth):
    """The paper's letter of a configuration, from it or from its number of weight layers."""
    name = depth if isinstance(depth, str) else DEPTHS.get(as_number(depth))
    if name not in CONFIGURATIONS:
        raise ValueError(
            f"depth must be one of {', '.join(CONFIGURATIONS)}, or "
            f"{', '.join(map(str, DEPTHS))}. {received(depth)}"
        )
    return name
