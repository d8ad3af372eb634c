"""A training step of the small ResNet with 0, 1, … all of its leading blocks frozen.

The step's time over the unfrozen step's (medians of steps in turn), beside the same ratio counted
from the blocks' FLOPs, and what it costs to enter that stage: the first step's time beyond a usual
one, in unfrozen steps (median of 3 fresh models).
"""

import numpy as np
import tensorflow as tf

from batch import flops
from batch.models import ResNet
from research.benchmarks.timing import in_turn, milliseconds, timed

COLUMNS = ("frozen", "step, ms", "ratio", "FLOPs ratio", "difference", "entry, steps")
FRESH = 3


class StageByHand:
    """A schedule whose number of leading frozen blocks is set by hand."""

    def __init__(self, blocks):
        self.blocks = blocks
        self.frozen = 0

    def __call__(self, iteration):
        """The rates, whatever the iteration."""
        return np.where(np.arange(self.blocks) < self.frozen, 0.0, 0.01)


def measure(repetitions, batch_size):
    """Rows of the table."""
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, (6000, 28, 28, 1), dtype=np.uint8))
    labels = tf.constant(rng.integers(0, 10, 6000))
    entries = []
    for _ in range(FRESH):
        trainer = _fresh_trainer()
        steps = _steps(trainer, images, labels, batch_size, rng)
        entries.append([timed(step) for step in steps])
    stages = in_turn(dict(enumerate(steps)), repetitions)
    usual = np.array([np.median(seconds) for seconds in stages.values()])
    beyond = (np.median(entries, axis=0) - usual) / usual[0]
    expected = flops.frozen_ratios(flops.block_costs(trainer.network))
    return [
        (
            frozen,
            milliseconds(stages[frozen]),
            f"{usual[frozen] / usual[0]:.3f}",
            f"{expected[frozen]:.3f}",
            f"{usual[frozen] / usual[0] - expected[frozen]:+.3f}",
            f"{beyond[frozen]:.2f}" if frozen else "–",
        )
        for frozen in stages
    ]


def _fresh_trainer():
    blocks = 5
    return ResNet(
        {
            "inputs": {"images": {"shape": (28, 28, 1), "classes": 10}},
            "optimizer": ("SGD", {"momentum": 0.9, "nesterov": True}),
            "schedule": StageByHand(blocks),
        }
    ).trainer


def _steps(trainer, images, labels, batch_size, rng):
    """A function for each stage that makes one step in it."""

    def step(frozen):
        trainer.schedule.frozen = frozen
        trainer.step(images, labels, rng.integers(0, len(images), batch_size))

    return [lambda frozen=frozen: step(frozen) for frozen in range(trainer.blocks + 1)]
