"""The bases of the fine-tuning benchmark in PyTorch, without their classifiers."""

import torch
from torch import nn


def resnet50(case):
    """A ResNet50 with the strides and biases of `keras.applications`."""
    torch.manual_seed(case.seed)
    layers = [nn.Conv2d(3, 64, 7, 2, padding=3), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, 2, padding=1))
    channels = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        for place in range(count):
            stride = 2 if stage and not place else 1
            layers.append(Bottleneck(channels, 64 * 2**stage, stride))
            channels = 256 * 2**stage
    return nn.Sequential(*layers), channels


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the first with the stride, added to their input."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.branch = nn.Sequential(
            *(nn.Conv2d(channels, filters, 1, stride), nn.BatchNorm2d(filters)),
            nn.ReLU(inplace=True),
            *(nn.Conv2d(filters, filters, 3, padding=1), nn.BatchNorm2d(filters)),
            nn.ReLU(inplace=True),
            *(nn.Conv2d(filters, 4 * filters, 1), nn.BatchNorm2d(4 * filters)),
        )
        self.shortcut = nn.Identity()
        if channels != 4 * filters:
            projection = nn.Conv2d(channels, 4 * filters, 1, stride)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(4 * filters))

    def forward(self, inputs):
        """Branch and shortcut, added."""
        return torch.relu(self.branch(inputs) + self.shortcut(inputs))


def efficientnet_lite0(case):
    """EfficientNet-Lite0, with the weights that lie in the case's folder."""
    layers, channels = _convolved(3, 32, 3, 2, activated=True), 32
    for count, size, strides, expansion, filters in case.stages:
        for place in range(count):
            stride = 1 if place else strides
            layers.append(InvertedResidual(channels, filters, size, stride, expansion, place > 0))
            channels = filters
    base = nn.Sequential(*layers, *_convolved(channels, 1280, 1, activated=True))
    _take(base, iter(case.weights()))
    return base, 1280


class InvertedResidual(nn.Module):
    """A 1×1 convolution that widens, a depthwise one, and a 1×1 one that narrows."""

    def __init__(self, channels, filters, size, stride, expansion, added):
        super().__init__()
        wide, self.added = expansion * channels, added
        widened = _convolved(channels, wide, 1, activated=True) if expansion > 1 else []
        self.branch = nn.Sequential(
            *widened,
            *_convolved(wide, wide, size, stride, groups=wide, activated=True),
            *_convolved(wide, filters, 1),
        )

    def forward(self, inputs):
        """The branch, added to the input where the block keeps its shape."""
        return inputs + self.branch(inputs) if self.added else self.branch(inputs)


class SameConvolution(nn.Conv2d):
    """A convolution that pads as Keras' 'same' does: more at the end than at the beginning."""

    def forward(self, inputs):
        """Padded, then convolved."""
        for axis in (-1, -2):
            size, stride = self.kernel_size[axis], self.stride[axis]
            side = inputs.shape[axis]
            total = max((-(-side // stride) - 1) * stride + size - side, 0)
            ends = total // 2, total - total // 2
            inputs = nn.functional.pad(inputs, ends if axis == -1 else (0, 0, *ends))
        return super().forward(inputs)


def _convolved(channels, filters, size, stride=1, groups=1, activated=False):
    convolution = SameConvolution(channels, filters, size, stride, groups=groups, bias=False)
    layers = [convolution, nn.BatchNorm2d(filters, eps=1e-3)]
    return [*layers, nn.ReLU6(inplace=True)] if activated else layers


def _take(base, arrays):
    """Give convolutions and normalizations, one after the other, arrays in Keras' layout."""
    for module in base.modules():
        if isinstance(module, nn.Conv2d):
            axes = (3, 2, 0, 1) if module.groups == 1 else (2, 3, 0, 1)
            targets = [(module.weight, axes)]
        elif isinstance(module, nn.BatchNorm2d):
            names = ("weight", "bias", "running_mean", "running_var")
            targets = [(getattr(module, name), (0,)) for name in names]
        else:
            continue
        for target, axes in targets:
            target.data.copy_(torch.from_numpy(next(arrays).transpose(axes)))
