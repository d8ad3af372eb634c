"""Networks in PyTorch that name their layers as the programs do that people have weights of."""

import torch
from torch import nn


class Residual(nn.Module):
    """Torchvision's basic or bottleneck block."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        sizes = {2: (3, 3), 3: (1, 3, 1)}[len(filters)]
        self.count = len(filters)
        for number, (size, out) in enumerate(zip(sizes, filters), 1):
            step = stride if number == sizes.index(3) + 1 else 1
            self.add_module(f"conv{number}", convolution(channels, out, size, step))
            self.add_module(f"bn{number}", nn.BatchNorm2d(out))
            self.inputs, channels = getattr(self, "inputs", channels), out
        self.downsample = None
        if stride > 1 or self.inputs != channels:
            projection = convolution(self.inputs, channels, 1, stride)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(channels))

    def forward(self, inputs):
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        outputs = inputs
        for number in range(1, self.count + 1):
            outputs = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(outputs))
            outputs = outputs if number == self.count else outputs.relu()
        return (outputs + shortcut).relu()


class ResNet(nn.Module):
    """Torchvision's."""

    def __init__(self, stages, convolutions, classes):
        super().__init__()
        self.conv1, self.bn1 = convolution(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, count in enumerate(stages):
            width, blocks = 64 * 2**stage, []
            for number in range(count):
                filters = [width, width, 4 * width][:convolutions]
                blocks.append(Residual(channels, filters, 2 if stage and not number else 1))
                channels = filters[-1]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, classes)

    def forward(self, images):
        features = self.maxpool(self.bn1(self.conv1(images)).relu())
        for stage in range(1, 5):
            features = getattr(self, f"layer{stage}")(features)
        return self.fc(features.mean((2, 3)))


class VGG(nn.Module):
    """Torchvision's, for images whose last features need no other size."""

    def __init__(self, stages, sides, classes, *, normalize, hidden):
        super().__init__()
        layers, channels = [], 3
        for count, filters in zip(stages, (64, 128, 256, 512, 512)):
            for _ in range(count):
                layers.append(nn.Conv2d(channels, filters, 3, padding=1))
                layers += [nn.BatchNorm2d(filters)] * normalize + [nn.ReLU()]
                channels = filters
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        dense, units = [], channels * sides**2
        for more in hidden:
            dense += [nn.Linear(units, more), nn.ReLU(), nn.Dropout()]
            units = more
        self.classifier = nn.Sequential(*dense, nn.Linear(units, classes))

    def forward(self, images):
        return self.classifier(self.features(images).flatten(1))


class WideBlock(nn.Module):
    """A pre-activation block of xternalz's Wide ResNet."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), convolution(channels, filters, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(filters), convolution(filters, filters, 3)
        self.convShortcut = None
        if channels != filters:
            self.convShortcut = convolution(channels, filters, 1, stride)

    def forward(self, inputs):
        entry = self.bn1(inputs).relu()
        shortcut = inputs if self.convShortcut is None else self.convShortcut(entry)
        return shortcut + self.conv2(self.bn2(self.conv1(entry)).relu())


class Stage(nn.Module):
    """Layers under the name `layer`."""

    def __init__(self, layers):
        super().__init__()
        self.layer = nn.Sequential(*layers)

    def forward(self, inputs):
        return self.layer(inputs)


class WideResNet(nn.Module):
    """Xternalz's."""

    def __init__(self, depth, widen_factor, classes):
        super().__init__()
        self.conv1, channels = convolution(3, 16, 3), 16
        for group in range(3):
            filters, blocks = 16 * widen_factor * 2**group, []
            for number in range((depth - 4) // 6):
                blocks.append(WideBlock(channels, filters, 2 if group and not number else 1))
                channels = filters
            self.add_module(f"block{group + 1}", Stage(blocks))
        self.bn1, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, classes)

    def forward(self, images):
        features = self.block3(self.block2(self.block1(self.conv1(images))))
        return self.fc(self.bn1(features).relu().mean((2, 3)))


class Dense(nn.Module):
    """A layer of Amos's DenseNet, or a transition."""

    def __init__(self, channels, *sizes, joined=True):
        super().__init__()
        self.joined, self.count = joined, len(sizes)
        for number, (filters, size) in enumerate(sizes, 1):
            self.add_module(f"bn{number}", nn.BatchNorm2d(channels))
            self.add_module(f"conv{number}", convolution(channels, filters, size))
            channels = filters

    def forward(self, inputs):
        outputs = inputs
        for number in range(1, self.count + 1):
            outputs = getattr(self, f"conv{number}")(getattr(self, f"bn{number}")(outputs).relu())
        if self.joined:
            return torch.cat([inputs, outputs], 1)
        return nn.functional.avg_pool2d(outputs, 2)


class DenseNet(nn.Module):
    """Amos's DenseNet-BC."""

    def __init__(self, depth, growth_rate, classes):
        super().__init__()
        self.conv1, channels = convolution(3, 2 * growth_rate, 3), 2 * growth_rate
        for stage in range(1, 4):
            layers = []
            for _ in range((depth - 4) // 6):
                layers.append(Dense(channels, (4 * growth_rate, 1), (growth_rate, 3)))
                channels += growth_rate
            self.add_module(f"dense{stage}", nn.Sequential(*layers))
            if stage < 3:
                transition = Dense(channels, (channels // 2, 1), joined=False)
                self.add_module(f"trans{stage}", transition)
                channels //= 2
        self.bn1, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, classes)

    def forward(self, images):
        features = self.trans1(self.dense1(self.conv1(images)))
        features = self.dense3(self.trans2(self.dense2(features)))
        return self.fc(self.bn1(features).relu().mean((2, 3)))


def convolution(channels, filters, size, stride=1):
    return nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)
