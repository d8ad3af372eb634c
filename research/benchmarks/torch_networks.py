"""DenseNet-BC, Wide ResNet and VGG in PyTorch, layer for layer those of `batch.networks`."""

import torch
from torch import nn

from batch.networks.vgg import CHANNELS, CONFIGURATIONS
from batch.networks.wide_resnet import BLOCKS
from research.benchmarks.torch_step import convolved


class DenseLayer(nn.Module):
    """A bottleneck and a 3×3 convolution, joined to their input."""

    def __init__(self, channels, growth_rate):
        super().__init__()
        self.layers = nn.Sequential(
            *activated(channels, 4 * growth_rate, 1), *activated(4 * growth_rate, growth_rate, 3)
        )

    def forward(self, inputs):
        """The input and what the layers make of it, side by side."""
        return torch.cat([inputs, self.layers(inputs)], 1)


class PreActivationBlock(nn.Module):
    """Two or three convolutions, added to their input."""

    def __init__(self, channels, filters, stride, kernel_sizes=(3, 3)):
        super().__init__()
        strides = [stride if place == kernel_sizes.index(3) else 1 for place in range(3)]
        first, *others = zip(kernel_sizes, strides)
        self.entry = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.branch = nn.Sequential(
            convolution(channels, filters, *first),
            *(layer for one in others for layer in activated(filters, filters, *one)),
        )
        same = channels == filters and stride == 1
        self.projection = None if same else convolution(channels, filters, 1, stride)

    def forward(self, inputs):
        """Branch and shortcut, added."""
        features = self.entry(inputs)
        shortcut = inputs if self.projection is None else self.projection(features)
        return self.branch(features) + shortcut


def densenet(classes, depth=76, growth_rate=12):
    """A DenseNet-BC for colour images."""
    channels, count = 2 * growth_rate, (depth - 4) // 6
    layers = [convolution(3, channels, 3)]
    for stage in range(3):
        for _ in range(count):
            layers.append(DenseLayer(channels, growth_rate))
            channels += growth_rate
        if stage < 2:
            layers += [*activated(channels, channels // 2, 1), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, *classifier(channels, classes, True))


def wide_resnet(classes, depth=16, widen_factor=4, block="B(3,3)"):
    """A Wide ResNet for colour images."""
    layers, channels = [convolution(3, 16, 3)], 16
    for group in range(3):
        for place in range((depth - 4) // 6):
            filters = 16 * widen_factor * 2**group
            stride = 2 if group and not place else 1
            layers.append(PreActivationBlock(channels, filters, stride, BLOCKS[block]))
            channels = filters
    return nn.Sequential(*layers, *classifier(channels, classes, True))


def vgg(classes, depth="D"):
    """A VGG network with batch normalization for colour images."""
    layers, channels = [], 3
    for count, filters in zip(CONFIGURATIONS[depth], CHANNELS):
        for _ in range(count):
            layers += [*convolved(channels, filters, 3), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, *classifier(channels, classes, False))


def convolution(channels, filters, size, stride=1):
    """A bias-free 'same' convolution, from He's initialization."""
    layer = nn.Conv2d(channels, filters, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    return layer


def activated(channels, filters, size, stride=1):
    """Batch normalization, ReLU, convolution."""
    ahead = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    return *ahead, convolution(channels, filters, size, stride)


def classifier(channels, classes, normalize):
    """Global average pooling and a dense layer, after a normalization or not."""
    ahead = (nn.BatchNorm2d(channels), nn.ReLU(inplace=True)) if normalize else ()
    return *ahead, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
