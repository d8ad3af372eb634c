"""A training step of the small ResNet with 0, 1, … all of its leading blocks frozen, no cache.

Against the unfrozen step, beside the ratio counted from the blocks' FLOPs; against PyTorch with the
same blocks frozen as FreezeOut's authors freeze them, in turns of 10 steps. And what the changes of
stages cost in 3 runs of 500 iterations: time beyond the median step of each stage, from where the
next stage's step may begin to be compiled until 10 steps after the change; less that of the same
run made again, when all steps are compiled.
"""

import functools

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from batch import FreezeOut, flops
from batch.data.examples import Examples
from batch.machine import COMPILE_LEAD
from batch.models.named import ResNet
from research.benchmarks.harness import Part, compared, in_turn, in_turns_of, timed
from research.benchmarks.small import SGD, random_examples
from research.benchmarks.torch_peer import torch_versions

FRESH = 3
TURN = 10  # steps of a turn beside PyTorch
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


def parts(quick=False):
    """The stages, beside PyTorch's, and their changes; quick, the stages alone."""
    stages = Part("stages", _stages_rows, 14, 0.53)
    peers = [
        Part(f"{frozen} frozen, PyTorch", functools.partial(_peers_rows, frozen), 5, each, TURN)
        for frozen, each in ((2, 0.24), (4, 0.14))
    ]
    changes = Part("changes of stages", _changes_rows, 2 * FRESH * 57, 0)
    return [stages] if quick else [stages, *peers, changes]


def _examples():
    return random_examples(6000)


def _stages_rows(repetitions, batch_size):
    trainer, steps = _steps(batch_size)
    seconds = in_turn(dict(enumerate(steps)), repetitions)
    expected = flops.frozen_ratios(flops.block_costs(trainer.network))
    return [
        compared(f"{frozen} frozen", seconds[frozen], "0 frozen", seconds[0], expected[frozen])
        for frozen in seconds
    ]


def _steps(batch_size):
    """A trainer, and a function for each of its stages."""
    trainer, rng = fresh_trainer(), np.random.default_rng(0)
    return trainer, steps_by_hand(trainer, *map(tf.constant, _examples()), batch_size, rng)


def _peers_rows(frozen, repetitions, batch_size):
    _, steps = _steps(batch_size)
    peer = torch_versions(*_examples(), batch_size, SGD, PEER, frozen=frozen)
    seconds = in_turns_of(TURN, {"ours": steps[frozen], **peer}, repetitions)
    return [compared(f"{frozen} frozen", seconds["ours"], PEER, seconds.get(PEER))]


def _changes_rows(_, batch_size):
    """What it costs to change stages, beside all that a run takes."""
    examples = _examples()
    beyond, whole = np.array([_changes(examples, batch_size) for _ in range(FRESH)]).T
    name = f"changes of stages in {RUN} iterations, linear, t_0 0.6"
    return [compared(name, beyond, "all iterations", whole)]


def _changes(examples, batch_size):
    """Seconds that changes of stages cost in a run with FreezeOut, and those of the whole run."""
    trainer = fresh_trainer(schedule=FreezeOut(5, RUN, 0.01, t_0=0.6, degree=1, scaled=False))
    first = _run(trainer, examples, batch_size)
    trainer.iteration = 0  # from here on, all is compiled
    again = _run(trainer, examples, batch_size)
    return _beyond(*first) - _beyond(*again), first[0].sum()


def _run(trainer, examples, batch_size):
    """Seconds of each iteration of a run, and the leading blocks frozen in it."""
    placed = tuple(map(tf.constant, examples))
    rng = np.random.default_rng(0)
    seconds, frozen = [], []
    for _ in tqdm(range(RUN), leave=False, unit="it"):
        rows = rng.integers(0, len(examples[0]), batch_size)
        seconds.append(timed(lambda rows=rows: trainer.step(Examples(*placed, rows))))
        frozen.append(trainer.frozen)
    return np.array(seconds), np.array(frozen)


def _beyond(seconds, frozen):
    """Seconds beyond usual steps around the changes of a run."""
    usual = np.array([np.median(seconds[frozen == count]) for count in frozen])
    around = np.zeros(len(seconds), bool)
    for change in np.flatnonzero(np.diff(frozen)) + 1:
        lead = round(COMPILE_LEAD / usual[change - 1])
        around[max(change - lead, 1) : change + 10] = True
    return (seconds - usual)[around].sum()


def fresh_trainer(cache="off", schedule=None):
    """The trainer of a small ResNet whose frozen blocks are set by hand, or by a schedule."""
    return ResNet(
        {
            "inputs": {"images": {"shape": (28, 28, 1), "classes": 10}},
            "optimizer": ("SGD", {"momentum": 0.9, "nesterov": True}),
            "schedule": schedule or StageByHand(5),
            "cache": cache,
        }
    ).trainer


def steps_by_hand(trainer, images, labels, batch_size, rng):
    """A function for each stage that makes one step in it."""

    def step(frozen):
        trainer.schedule.frozen = frozen
        trainer.step(Examples(images, labels, rng.integers(0, len(images), batch_size)))

    return [lambda frozen=frozen: step(frozen) for frozen in range(trainer.blocks + 1)]
