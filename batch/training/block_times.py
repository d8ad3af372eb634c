"""What the blocks of a network cost in seconds on this machine.

Multiply-adds mislead where an operation is slow for what it computes, as TensorFlow's gradient of a
depthwise kernel, or takes long although it multiplies little, as batch normalization.
"""

import dataclasses
import statistics
import time

import tensorflow as tf
from tqdm import tqdm

from batch.flops import BlockCost
from batch.networks.stochastic_depth import StochasticDepth
from batch.runtime import names_not_kept

ROUNDS = 5  # of measurements, after a first one
SEED = 0, 0


@names_not_kept()
def timed(costs, trainer, batch_size):
    """The costs of a network's blocks, with their `seconds` for one image.

    Each block runs alone, on random numbers, in five ways in turn: in inference mode, in training
    mode, and with the gradients of its weights, of its input, and of both. Medians count. The
    update of its weights counts to their gradients, and preprocessing to the first block's forward
    pass. What else a step takes does not count.

    Parameters
    ----------
    costs : list of BlockCost
        As from `batch.flops.block_costs`.
    trainer : Trainer
        Of the network. Its weights, statistics and slots change.
    batch_size : int
    """
    trainer.steps.make_slots()
    images, made = trainer.network.layers[0].input, []
    prepare = _from_images(trainer.preprocessing, images, batch_size)
    for block in tqdm(trainer.steps.blocks, leave=False, unit="block", desc="measuring"):
        made.append(_seconds(block, prepare, batch_size))
        prepare = _random(block.layer.output, batch_size)
    return [dataclasses.replace(cost, seconds=seconds) for cost, seconds in zip(costs, made)]


def _from_images(preprocessing, images, batch_size):
    """A function that gives what the first block takes."""
    shape = batch_size, *images.shape[1:]
    stored = tf.cast(tf.random.stateless_uniform(shape, SEED, 0, 256, tf.int32), tf.uint8)
    drawn_from = preprocessing.drawn_from.shape
    drawn = tf.zeros([batch_size if size is None else size for size in drawn_from], tf.int32)
    return lambda: preprocessing.training(stored, drawn)


def _random(features, batch_size):
    """A function that gives what a later block takes."""
    shape = batch_size, *features.shape[1:]
    numbers = tf.cast(tf.random.stateless_normal(shape, SEED), features.dtype)
    return lambda: numbers


def _seconds(block, prepare, batch_size):
    """The cost of a block in seconds for one image."""
    layer = block.layer

    def active(inputs):
        return block.forward(inputs, 1.0, True)[0]

    def kept(inputs):
        return layer.block(inputs, training=True)

    def dropped(inputs):
        return layer.block.shortcut(layer.entry(inputs, True), True)

    if not isinstance(layer, StochasticDepth):
        return _measured(block, active, prepare, batch_size)
    whole, without = (_measured(block, way, prepare, batch_size) for way in (kept, dropped))
    return dataclasses.replace(whole, dropped=without, survival=layer.computed)


def _measured(block, forward, prepare, batch_size):
    """The cost of a block with this forward pass in training mode."""

    def step(by_weights, by_input):
        inputs = prepare()
        weights = block.variables if by_weights else []
        sources = [*weights, *([inputs] if by_input else [])]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            outputs = forward(inputs)
        gradients = tape.gradient(outputs, sources, unconnected_gradients="zero")
        if weights:
            block.learn(0.0, gradients[: len(weights)], is_active=True)
        return outputs, gradients[len(weights) :]

    passes = {
        "inference": lambda: block.infer(prepare()),
        "forward": lambda: step(False, False),
        "weights": lambda: step(True, False),
        "input": lambda: step(False, True),
        "both": lambda: step(True, True),
    }
    took = {name: taken / batch_size for name, taken in _medians(passes).items()}
    of_weights = took["both"] - took["input"]
    parts = {
        "weight_gradient": of_weights,
        "inner_gradient": took["weights"] - took["forward"] - of_weights,
        "input_gradient": took["both"] - took["weights"],
    }
    positive = {name: max(part, 0.0) for name, part in parts.items()}
    return BlockCost(took["forward"], **positive, inference=took["inference"])


def _medians(passes):
    """Median seconds of functions, compiled, which are called in turn."""
    compiled = {
        name: tf.function(run, autograph=False).get_concrete_function()
        for name, run in passes.items()
    }
    seconds = {name: [] for name in passes}
    for _ in range(ROUNDS + 1):
        for name, run in compiled.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(all_of_it[1:]) for name, all_of_it in seconds.items()}
