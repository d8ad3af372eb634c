"""How the time of the small ResNet's classic step grows, where it should and where it should not.

Beside what proportion would give; for blocks, what their FLOPs do.
"""

import keras
import numpy as np
import tensorflow as tf

from batch import TFModel, flops
from batch.data.examples import Examples
from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock
from research.benchmarks.harness import Part, compared, in_turn
from research.benchmarks.small import CLASSES, SGD, SHAPE, block_filters, random_examples

EXAMPLES = 6000
BLOCKS = (4, 2, 8, 16)


def parts(quick=False):
    """What grows; quick, what is made soonest."""
    cheap = [Part("examples", _examples, 6, 0.24), Part("iterations", _iterations, 4, 0.48)]
    dear = [Part("batches", _batches, 8, 0.45), Part("blocks", _blocks, 25, 0.83)]
    return cheap if quick else cheap + dear


def _batches(repetitions, batch_size):
    sizes = [max(round(batch_size * share), 2) for share in (1 / 4, 1 / 2, 1, 2)]
    trainer = make_model(4).trainer
    examples = _placed(EXAMPLES)
    seconds = in_turn({size: _step(trainer, examples, size) for size in sizes}, repetitions)
    usual = sizes[2]
    for size in sizes:
        if size != usual:
            peer = f"batch {usual}"
            yield compared(f"batch {size}", seconds[size], peer, seconds[usual], size / usual)


def _examples(repetitions, batch_size):
    counts = EXAMPLES, 10 * EXAMPLES
    trainer = make_model(4).trainer
    steps = {count: _step(trainer, _placed(count), batch_size) for count in counts}
    few, many = in_turn(steps, repetitions).values()
    yield compared(f"{counts[1]:,} examples", many, f"{counts[0]:,} examples", few, 1)


def _blocks(repetitions, batch_size):
    trainers = {blocks: make_model(blocks).trainer for blocks in BLOCKS}
    examples = _placed(EXAMPLES)
    steps = {key: _step(trainer, examples, batch_size) for key, trainer in trainers.items()}
    seconds = in_turn(steps, repetitions)
    costs = {key: flops.block_costs(trainer.network) for key, trainer in trainers.items()}
    work = {key: flops.step_cost(cost, (True,) * len(cost)) for key, cost in costs.items()}
    for key in BLOCKS[1:]:
        expected = work[key] / work[4]
        yield compared(f"{key} residual blocks", seconds[key], "4", seconds[4], expected)


def _iterations(repetitions, batch_size):
    """The later iterations of one run beside its first."""
    step = _step(make_model(4).trainer, _placed(EXAMPLES), batch_size)
    seconds = in_turn({"step": step}, 4 * repetitions)["step"]
    first, *_, last = np.split(seconds, 4)
    peer = f"the first {repetitions}"
    yield compared(f"the last {repetitions} of {4 * repetitions} iterations", last, peer, first, 1)


def make_model(blocks):
    """A small ResNet with so many bottleneck blocks, as a `TFModel`."""
    layers = [
        ConvolutionBlock(32, 7, strides=2, pool_size=2),
        *map(ResidualBlock, block_filters(blocks)),
        Classifier(CLASSES),
    ]
    inputs = {"images": {"shape": SHAPE}, "labels": {"classes": CLASSES}}
    keras.utils.set_random_seed(0)
    return TFModel({"inputs": inputs, "network": layers, "optimizer": ("SGD", SGD)})


def _placed(count):
    return tuple(map(tf.constant, random_examples(count, SHAPE)))


def _step(trainer, examples, batch_size):
    rng = np.random.default_rng(0)
    return lambda: trainer.step(Examples(*examples, rng.integers(0, len(examples[0]), batch_size)))
