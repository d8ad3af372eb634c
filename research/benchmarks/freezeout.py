"""A training step of the small ResNet with 0, 1, … all of its leading blocks frozen, no cache.

Against the unfrozen step, beside the ratio counted from the blocks' FLOPs; against PyTorch with the
same blocks frozen as FreezeOut's authors freeze them, in turns of 10 steps; and what entering the
stages costs: the first step of each beyond a usual one, in the middle of 3 fresh models.
"""

import numpy as np
import tensorflow as tf

from batch import FreezeOut, flops
from batch.models import ResNet
from batch.stages import stages
from research.benchmarks.step import SGD, random_examples
from research.benchmarks.timing import compared, in_turn, in_turns_of, timed
from research.benchmarks.torch_peer import torch_versions

FRESH = 3
RUN = 500  # iterations of the run that enters every stage
PEER = "PyTorch, as many frozen"


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
    examples = random_examples(6000, (28, 28, 1))
    rng = np.random.default_rng(0)
    entries = []
    for _ in range(FRESH):
        trainer = fresh_trainer()
        steps = steps_by_hand(trainer, *map(tf.constant, examples), batch_size, rng)
        entries.append([timed(step) for step in steps])
    seconds = in_turn(dict(enumerate(steps)), repetitions)
    expected = flops.frozen_ratios(flops.block_costs(trainer.network))
    rows = [
        compared(f"{frozen} frozen", seconds[frozen], "0 frozen", seconds[0], expected[frozen])
        for frozen in seconds
    ]
    rows += [
        _peers_row(frozen, steps[frozen], examples, batch_size, repetitions) for frozen in (2, 4)
    ]
    return [*rows, _entries_row(np.array(entries), seconds)]


def _peers_row(frozen, step, examples, batch_size, repetitions):
    peer = torch_versions(*examples, batch_size, SGD, PEER, frozen=frozen)
    seconds = in_turns_of(10, {"ours": step, **peer}, repetitions)
    return compared(f"{frozen} frozen", seconds["ours"], PEER, seconds.get(PEER))


def _entries_row(entries, seconds):
    """Seconds beyond usual steps that a run spends to enter its stages, beside all it takes."""
    blocks = entries.shape[1] - 1
    usual = np.array([np.median(seconds[frozen]) for frozen in range(blocks + 1)])
    run = stages(FreezeOut(blocks, RUN, 0.1, t_0=0.6, degree=1), RUN)
    entered = [stage.frozen for stage in run if stage.frozen]
    beyond = (entries - usual)[:, entered].sum(axis=1)
    whole = sum((stage.stop - stage.start) * usual[stage.frozen] for stage in run)
    each = np.median(entries - usual, axis=0) / usual[0]
    note = "in unfrozen steps: " + ", ".join(f"{each[frozen]:.2f}" for frozen in entered)
    name = f"entering the stages of {RUN} iterations, linear, t_0 0.6"
    return compared(name, beyond, "the iterations", np.full(len(beyond), whole), note=note)


def fresh_trainer(cache="off"):
    """The trainer of a small ResNet whose frozen blocks are set by hand."""
    return ResNet(
        {
            "inputs": {"images": {"shape": (28, 28, 1), "classes": 10}},
            "optimizer": ("SGD", {"momentum": 0.9, "nesterov": True}),
            "schedule": StageByHand(5),
            "cache": cache,
        }
    ).trainer


def steps_by_hand(trainer, images, labels, batch_size, rng):
    """A function for each stage that makes one step in it."""

    def step(frozen):
        trainer.schedule.frozen = frozen
        trainer.step(images, labels, rng.integers(0, len(images), batch_size))

    return [lambda frozen=frozen: step(frozen) for frozen in range(trainer.blocks + 1)]
