"""The small ResNet and its training step in PyTorch, eager, channels_last."""

import torch
from torch import nn

from batch.runtime import set_threads
from research.benchmarks.small import CLASSES, block_filters

STEM = 4  # modules of the stem in the small ResNet


def torch_step(images, labels, batch_size, sgd, network=None, frozen=0, bfloat16=False):
    """A function that makes one training step of a network, the small ResNet, on a random batch.

    Frozen, blocks are what FreezeOut's authors make them: in inference mode, detached, and out of
    the optimizer. In bfloat16, what autocast chooses is.
    """
    torch.set_num_threads(set_threads())
    network = (network or network_like_ours()).to(memory_format=torch.channels_last)
    modules = STEM + frozen - 1 if frozen else 0
    prefix, rest = network[:modules].eval(), network[modules:]
    optimizer = torch.optim.SGD(
        rest.parameters(),
        lr=sgd["learning_rate"],
        momentum=sgd["momentum"],
        nesterov=sgd["nesterov"],
    )
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    labels = torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(0)

    def step():
        rows = torch.randint(len(images), (batch_size,), generator=generator)
        batch = (images[rows].float() / 255).contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            with torch.no_grad():
                features = prefix(batch)
            logits = rest(features)
        loss = nn.functional.cross_entropy(logits.float(), labels[rows])
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def network_like_ours(blocks=4):
    """Stem, so many bottleneck blocks, classifier."""
    bottlenecks, channels = [], 32
    for widths in block_filters(blocks):
        bottlenecks.append(Bottleneck(channels, widths))
        channels = widths[2]
    return nn.Sequential(
        *convolved(1, 32, 7, stride=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        *bottlenecks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, CLASSES),
    )


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, added to their input."""

    def __init__(self, channels, filters):
        super().__init__()
        self.branch = nn.Sequential(
            *convolved(channels, filters[0], 1),
            nn.ReLU(inplace=True),
            *convolved(filters[0], filters[1], 3),
            nn.ReLU(inplace=True),
            *convolved(filters[1], filters[2], 1),
        )
        same = channels == filters[2]
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*convolved(channels, filters[2], 1))
        )

    def forward(self, inputs):
        """Branch and shortcut, added."""
        return torch.relu(self.branch(inputs) + self.shortcut(inputs))


def convolved(channels, filters, size, stride=1):
    """A convolution and its batch normalization."""
    convolution = nn.Conv2d(channels, filters, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight)
    return convolution, nn.BatchNorm2d(filters)
