"""Wide residual networks: few pre-activation blocks with many channels."""

from batch.networks.blocks import Classifier, PreActivationBlock
from batch.networks.layers import convolution, make_seeds, sequence


def wide_resnet(input_shape, classes, depth=28, widen_factor=2, dropout=0.0, seed=0):
    """A Wide ResNet: a stem of 16 channels and three groups of (depth − 4)/6 blocks.

    Parameters
    ----------
    input_shape : tuple of ints
        (H, W, C) of the images.
    classes : int
        Number of classes.
    depth : int
        6n + 4: convolutions on the way through the network, stem and shortcuts included.
    widen_factor : int
        k: the groups have 16k, 32k and 64k channels.
    dropout : float
        Between the convolutions of a block.
    seed : int
        Of the initial weights, and of what is dropped.

    Returns
    -------
    keras.Sequential
        With the layers stem, block0 …, classifier.

    References
    ----------
    Zagoruyko and Komodakis, Wide Residual Networks, 2016, table 1.
    """
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"depth must be 6n + 4, as 16, 28 or 40. Received: {depth!r}")
    if widen_factor < 1:
        raise ValueError(f"widen_factor must be 1 or more. Received: {widen_factor!r}")
    count = (depth - 4) // 6
    seeds = make_seeds(seed, 3 * count + 2)
    blocks = [
        PreActivationBlock(
            16 * widen_factor * 2**group,
            strides=2 if group and not place else 1,
            dropout=dropout,
            seed=seeds[group * count + place + 1],
            name=f"block{group * count + place}",
        )
        for group in range(3)
        for place in range(count)
    ]
    stem = convolution(16, 3, seed=seeds[0], name="stem")
    classifier = Classifier(classes, seed=seeds[-1], normalize=True, name="classifier")
    return sequence(f"wide_resnet{depth}_{widen_factor}", input_shape, [stem, *blocks, classifier])
