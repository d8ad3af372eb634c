"""VGG networks with batch normalization."""

from batch.checks import as_number, received
from batch.networks.arguments import class_count, image_shape
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


def vgg(input_shape, classes, depth="D", *, seed=0):
    """A VGG network for small images: five stages of 3×3 convolutions, each with pooling.

    Every convolution has batch normalization. A single dense layer classifies the average of the
    last stage's output; the paper has three dense layers, for images of 224×224.

    Parameters
    ----------
    input_shape, classes
        As for `batch.networks.resnet.small_resnet`.
    depth : {'A', 'B', 'D', 'E', 11, 13, 16, 19}
        The paper's configuration, or its number of weight layers.
    seed : int
        Of the initial weights.

    Returns
    -------
    keras.Sequential
        With the layers block0 …, each a convolution, and classifier.

    References
    ----------
    Simonyan and Zisserman, Very Deep Convolutional Networks, 2015, table 1.
    """
    input_shape, classes = image_shape(input_shape), class_count(classes)
    name = depth if isinstance(depth, str) else DEPTHS.get(as_number(depth))
    if name not in CONFIGURATIONS:
        raise ValueError(
            f"depth must be one of {', '.join(CONFIGURATIONS)}, or "
            f"{', '.join(map(str, DEPTHS))}. {received(depth)}"
        )
    stages = CONFIGURATIONS[name]
    seeds = make_seeds(seed, sum(stages) + 1)
    blocks = []
    for count, channels in zip(stages, CHANNELS):
        for number in range(count):
            block = ConvolutionBlock(
                channels,
                pool_size=2 if number == count - 1 else 1,
                pool_padding="same",
                epsilon=1e-5,
                seed=seeds[len(blocks)],
                name=f"block{len(blocks)}",
            )
            blocks.append(block)
    classifier = Classifier(classes, seed=seeds[-1], name="classifier")
    return sequence(f"vgg_{name.lower()}", input_shape, [*blocks, classifier])
