"""Residual networks as sequences of blocks: stem first, classifier last."""

from batch.checks import (
    MOST_LAYERS,
    as_number,
    not_negative,
    positive_whole,
    received,
    true_or_false,
)
from batch.networks.arguments import MOST_CHANNELS, class_count, image_shape
from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock
from batch.networks.layers import make_seeds, sequence

DEPTHS = {  # blocks of each stage, convolutions of a block (He et al., 2016, table 1)
    18: ((2, 2, 2, 2), 2),
    34: ((3, 4, 6, 3), 2),
    50: ((3, 4, 6, 3), 3),
    101: ((3, 4, 23, 3), 3),
    152: ((3, 8, 36, 3), 3),
}


def small_resnet(input_shape, classes, seed=0):
    """The small ResNet of the FreezeOut study: a stem and four bottleneck blocks.

    Parameters
    ----------
    input_shape : tuple of ints
        (H, W, C) of the images; H and W at least 3, or None for any size.
    classes : int
        Number of classes, 2 or more.
    seed : int
        Of the initial weights.

    Returns
    -------
    keras.Sequential
        With the layers stem, block0 … block3, classifier.

    Raises
    ------
    ValueError
        If one of them is out of its range.
    """
    input_shape, classes = image_shape(input_shape, least=3), class_count(classes)
    filters = [[32, 32, 128]] * 2 + [[64, 64, 256]] * 2
    seeds = make_seeds(seed, len(filters) + 2)
    blocks = [
        ResidualBlock(channels, seed=block_seed, name=f"block{number}")
        for number, (channels, block_seed) in enumerate(zip(filters, seeds[1:]))
    ]
    stem = ConvolutionBlock(32, 7, strides=2, pool_size=2, seed=seeds[0], name="stem")
    classifier = Classifier(classes, seed=seeds[-1], name="classifier")
    return sequence("small_resnet", input_shape, [stem, *blocks, classifier])


def resnet(
    depth,
    input_shape,
    classes,
    *,
    seed=0,
    use_bias=False,
    stride_first=False,
    symmetric=True,
    epsilon=1e-5,
    num_blocks=None,
    filters=None,
    se_ratio=None,
):
    """A ResNet as published: 18, 34, 50, 101 or 152 layers.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
    input_shape, classes, seed
        As for `small_resnet`; images may have any size.
    use_bias : bool
        Give the convolutions biases, as `keras.applications` does.
    stride_first : bool
        Where a bottleneck block halves the image, its first 1×1 convolution has the stride, as in
        the paper and in `keras.applications`. By default its 3×3 convolution has it, as in
        torchvision.
    symmetric : bool
        Pad strided convolutions on both sides alike, as the published networks do; Keras' own
        'same' padding is shifted by a pixel where an even image is halved.
    epsilon : float
        Of the batch normalizations; `keras.applications` has 1.001e-5.
    num_blocks : sequence of int, optional
        Blocks of each stage, in place of the published ones.
    filters : sequence of int, optional
        Channels of each stage, in place of 64, 128, 256 …; bottleneck blocks give four times as
        many.
    se_ratio : int, optional
        Blocks have squeeze and excitation of this ratio, 16 in SE-ResNets as published.

    Returns
    -------
    keras.Sequential
        With the layers stem, block0 …, classifier.

    References
    ----------
    He et al., Deep Residual Learning for Image Recognition, 2016, table 1.
    """
    if as_number(depth) not in DEPTHS:
        raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}. {received(depth)}")
    input_shape, classes = image_shape(input_shape), class_count(classes)
    use_bias = true_or_false("use_bias", use_bias)
    stride_first = true_or_false("stride_first", stride_first)
    epsilon = not_negative("epsilon", epsilon)
    stages, convolutions = DEPTHS[as_number(depth)]
    stages = _of_stages("num_blocks", num_blocks, stages, MOST_LAYERS)
    published = [64 * 2**stage for stage in range(len(stages))]
    widths = _of_stages("filters", filters, published, MOST_CHANNELS)
    if len(widths) != len(stages):
        raise ValueError(
            f"filters must have a number for each of {len(stages)} stages. {received(filters)}"
        )
    seeds = make_seeds(seed, sum(stages) + 2)
    options = {"symmetric": symmetric, "use_bias": use_bias, "epsilon": epsilon}
    blocks = []
    for stage, (count, width) in enumerate(zip(stages, widths)):
        for number in range(count):
            block = ResidualBlock(
                [width, width, 4 * width][:convolutions],
                strides=2 if stage and not number else 1,
                stride_first=stride_first,
                se_ratio=se_ratio,
                seed=seeds[len(blocks) + 1],
                name=f"block{len(blocks)}",
                **options,
            )
            blocks.append(block)
    stem = ConvolutionBlock(64, 7, strides=2, pool_size=3, seed=seeds[0], name="stem", **options)
    classifier = Classifier(classes, seed=seeds[-1], name="classifier")
    return sequence(f"resnet{depth}", input_shape, [stem, *blocks, classifier])


def _of_stages(name, values, published, most):
    """Whole numbers above 0, one for each stage; the published ones where there are none."""
    if values is None:
        return published
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f"{name} must be a list with a number for each stage. {received(values)}")
    return [positive_whole(name, value, most) for value in values]
