"""Training runs of the small ResNet whose memory is measured, each version by the same name."""

import gc

import numpy as np

from research.benchmarks.processes import megabytes
from research.benchmarks.small import SGD, random_examples

STEPS = 20


def peak(version, examples, blocks, batch_size):
    """A function that trains for `STEPS` steps; returns the megabytes that it took at most."""
    train = VERSIONS[version]()

    def run():
        before = megabytes("VmRSS")
        train(blocks, batch_size, STEPS, *random_examples(examples))
        return megabytes("VmHWM") - before

    return run


def left(version, count, first):
    """A function that makes models, trains each for a step, and drops it.

    It returns the megabytes by which the process grows from the first ones to the last.
    """
    train = VERSIONS[version]()

    def run():
        few = random_examples(8)
        for number in range(count):
            train(4, 8, 1, *few)
            gc.collect()
            if number + 1 == first:
                before = megabytes("VmRSS")
        return megabytes("VmRSS") - before

    return run


def _ours():
    from research.benchmarks.growth import make_model

    def train(blocks, batch_size, steps, images, labels):
        model, order = make_model(blocks), np.random.default_rng(0)
        for _ in range(steps):
            model.train(images, labels, rows=order.integers(0, len(images), batch_size))

    return train


def _stock():
    from research.benchmarks.stock import compiled_network, fit

    def train(blocks, batch_size, steps, *examples):
        fit(compiled_network(blocks), *examples, batch_size=batch_size, steps_per_epoch=steps)

    return train


def _torch():
    from research.benchmarks.torch_step import network_like_ours, torch_step

    def train(blocks, batch_size, steps, *examples):
        step = torch_step(*examples, batch_size, SGD, network_like_ours(blocks))
        for _ in range(steps):
            step()

    return train


VERSIONS = {"ours": _ours, "stock": _stock, "torch": _torch}
