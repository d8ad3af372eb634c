"""A training step of FreezeOut's networks on 32×32×3, with 0, ¼, ½ and ¾ of their blocks frozen.

Median milliseconds a step, in turn; the ratio to the unfrozen step beside the same ratio counted
from the blocks' FLOPs; and the unfrozen step over that of the same network in PyTorch (eager,
channels_last).
"""

import importlib.util

import numpy as np
import tensorflow as tf

from batch import VGG, DenseNet, WideResNet, flops
from research.benchmarks.freezeout import StageByHand
from research.benchmarks.timing import in_turns_of, milliseconds

COLUMNS = (
    *("network", "batch", "frozen", "of", "step, ms", "ratio", "FLOPs ratio", "difference"),
    "over PyTorch",
)
NETWORKS = {  # model, options, and the name of the network's peer
    "DenseNet-BC 76, k 12": (DenseNet, {"depth": 76, "growth_rate": 12}, "densenet"),
    "WRN-16-4": (WideResNet, {"depth": 16, "widen_factor": 4}, "wide_resnet"),
    "VGG-D": (VGG, {"depth": "D"}, "vgg"),
}
SHARE = 6  # the paper's batch is 50, of the 300 that benchmarks have by default
STEPS = 3  # in a turn, so that the threads of one library meet the other's steps seldom
SGD = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}


def measure(repetitions, batch_size):
    """Rows of the table."""
    batch_size = max(batch_size // SHARE, 1)
    return [
        row
        for name, (model, options, peer) in NETWORKS.items()
        for row in _rows(name, model, options, peer, batch_size, max(repetitions // STEPS, 1))
    ]


def _rows(name, model, options, peer, batch_size, repetitions):
    images, labels = random_examples()
    trainer = trainer_by_hand(model, options)
    quarters = [round(trainer.blocks * part / 4) for part in range(4)]
    versions = {
        frozen: step_by_hand(trainer, frozen, images, labels, batch_size) for frozen in quarters
    }
    versions |= peers_step(peer, options, images, labels, batch_size)
    seconds = in_turns_of(STEPS, versions, repetitions)
    usual = {key: np.median(times) for key, times in seconds.items()}
    expected = flops.frozen_ratios(flops.block_costs(trainer.network))
    for frozen in quarters:
        ratio = usual[frozen] / usual[0]
        over = usual[0] / usual["PyTorch"] if "PyTorch" in usual and not frozen else None
        yield (
            *(name, batch_size, frozen, trainer.blocks, milliseconds(seconds[frozen])),
            *(f"{ratio:.3f}", f"{expected[frozen]:.3f}", f"{ratio - expected[frozen]:+.3f}"),
            f"{over:.3f}" if over else "",
        )


def random_examples():
    """2,000 images of 32×32×3 and their classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
    return images, rng.integers(0, 10, len(images))


def trainer_by_hand(model, options):
    """The trainer of a model for these images, whose frozen blocks are set by hand."""
    inputs = {"images": {"shape": (32, 32, 3), "classes": 10}}
    optimizer = ("SGD", {"momentum": 0.9, "nesterov": True})
    trainer = model({"inputs": inputs, "optimizer": optimizer, **options}).trainer
    trainer.schedule = StageByHand(trainer.blocks)
    return trainer


def peers_step(name, options, images, labels, batch_size):
    """The step of the same network in PyTorch, as {'PyTorch': step}; nothing without PyTorch."""
    if not importlib.util.find_spec("torch"):
        return {}
    from research.benchmarks import torch_networks
    from research.benchmarks.torch_step import torch_step

    network = getattr(torch_networks, name)(10, **options)
    return {"PyTorch": torch_step(images, labels, batch_size, SGD, network)}


def step_by_hand(trainer, frozen, images, labels, batch_size):
    """A function that makes one step with so many leading blocks frozen."""
    placed = tf.constant(images), tf.constant(labels)
    rng = np.random.default_rng(0)

    def step():
        trainer.schedule.frozen = frozen
        trainer.step(*placed, rng.integers(0, len(images), batch_size))

    return step
