"""A small network in the place of the small ResNet, so that tests which train it are quick."""

import importlib

from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock
from batch.networks.layers import make_seeds, sequence

MODULES = (  # that know the small ResNet
    *("batch.networks.resnet", "batch.models.named"),
    *("research.benchmarks.freezing", "research.benchmarks.stochastic"),
)


def small_resnet(input_shape, classes, seed=0):
    """As the small ResNet, with the names of its blocks, and few operations."""
    seeds = make_seeds(seed, 6)
    stem = ConvolutionBlock(4, 3, strides=2, pool_size=2, seed=seeds[0], name="stem")
    filters = [[4, 4]] * 3 + [[4, 256]]  # of the last block as many as there
    blocks = [
        ResidualBlock(channels, seed=block_seed, name=f"block{number}")
        for number, (channels, block_seed) in enumerate(zip(filters, seeds[1:]))
    ]
    classifier = Classifier(classes, seed=seeds[-1], name="classifier")
    return sequence("small_resnet", input_shape, [stem, *blocks, classifier])


def plain_network(input_shape, classes, seed=0):
    """The same without branches: fewer operations to compile."""
    seeds = make_seeds(seed, 6)
    names = ["stem", *(f"block{number}" for number in range(4))]
    blocks = [
        ConvolutionBlock(channels, 3, strides=2, pool_size=1, seed=block_seed, name=name)
        for name, channels, block_seed in zip(names, (4, 4, 4, 4, 256), seeds)
    ]
    classifier = Classifier(classes, seed=seeds[-1], name="classifier")
    return sequence("small_resnet", input_shape, [*blocks, classifier])


def use(patch, network=small_resnet):
    """Let it take that place, and texts have few words; `patch` is a `pytest.MonkeyPatch`."""
    for name in MODULES:
        patch.setattr(importlib.import_module(name), "small_resnet", network)
    patch.setattr("research.benchmarks.freezing.WORDS", 1000)
