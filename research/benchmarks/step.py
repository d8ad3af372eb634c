"""A training step of the small ResNet, nothing frozen: the classic pipeline against its peers.

Turns of 60 steps, which spreads what a call of `fit` costs, and what the threads of one library
leave behind for the other. Keras' `fit` is measured here, with oneDNN as we set it, and in
processes of their own: with TensorFlow as it comes, and on JAX. One row has the share of the
processor's peak in multiply-adds that the step reaches: the inverse of its ratio to one large
matrix product. The last rows have what kinds of operations take of all that the step computes.
"""

import contextlib
import importlib.util
import re
import time

import numpy as np
import tensorflow as tf
from batchflow import Dataset, DatasetIndex

from batch import ResBatch
from batch.flops import block_costs, step_cost
from batch.runtime import set_threads
from research.benchmarks.graphs import seconds_by_operation
from research.benchmarks.harness import Part, compared, in_turn, in_turns_of, whole_turn
from research.benchmarks.processes import Process, environment
from research.benchmarks.small import SGD, random_examples
from research.benchmarks.stock import compiled_network, small_resnet_fit
from research.benchmarks.torch_peer import torch_versions

STEPS = 60  # in a turn
SIDE = 2048  # of the matrices whose product tells the peak
FIT, AS_IT_COMES = "stock Keras, fit", "stock Keras, fit, as it comes"
TORCH, JAX = "PyTorch, eager, channels_last", "stock Keras on JAX, fit"
KINDS = {  # of operations, by what is in their names
    "convolutions, forward": re.compile("Conv2D$"),
    "convolutions, gradients": re.compile("Conv2DBackprop"),
    "batch normalization": re.compile("BatchNorm"),
    "ReLU and sums": re.compile("Relu|Add"),
}


def parts(quick=False):
    """The step beside its peers', and the compiled function in it; quick, in turns of few steps."""
    steps = 5 if quick else STEPS

    def peers(repetitions, batch_size):
        return _peers_rows(repetitions, batch_size, steps)

    return [
        Part("peers", peers, 40, 1.2, steps),
        Part("function", _function_rows, 8, 0.2),
        Part("operations", _operation_rows, 8, 0.3),
    ]


def _peers_rows(repetitions, batch_size, steps):
    images, labels = random_examples(steps * batch_size)
    pipeline, _ = _ours(images, labels, batch_size)
    versions = {"ours": pipeline, **_stock(images, labels, batch_size, steps)}
    versions |= torch_versions(images, labels, batch_size, SGD, TORCH)
    with contextlib.ExitStack() as stack:
        versions |= _processes(batch_size, steps, stack)
        seconds = in_turns_of(steps, versions, repetitions)
    peers = (FIT, "stock Keras, train_on_batch", AS_IT_COMES, TORCH, JAX)
    return [compared("classic step", seconds["ours"], peer, seconds.get(peer)) for peer in peers]


def _function_rows(repetitions, batch_size):
    images, labels = random_examples(STEPS * batch_size)
    pipeline, trainer = _ours(images, labels, batch_size)
    compiled = _noted(trainer.steps)
    alone = in_turn({"ours": pipeline, "product": matrix_product()}, repetitions)
    compiled = np.array(compiled[-repetitions:])
    blocks = trainer.network.layers
    cost = batch_size * step_cost(block_costs(trainer.network), (True,) * len(blocks))
    at_peak = alone["product"] * cost / SIDE**3
    share = np.median(at_peak / compiled)
    return [
        compared("classic step", alone["ours"], "the compiled function in it", compiled, 1),
        compared(
            "the compiled function in it",
            compiled,
            "its multiply-adds in one matrix product",
            at_peak,
            note=f"{100 * share:.0f} % of the peak",
        ),
    ]


def _operation_rows(repetitions, batch_size):
    step, _ = _ours(*random_examples(STEPS * batch_size), batch_size)
    for _ in range(3):
        step()
    profiles = [seconds_by_operation(step) for _ in range(repetitions)]
    taken = {
        kind: np.array(
            [sum(made[name] for name in made if named.search(name)) for made in profiles]
        )
        for kind, named in KINDS.items()
    }
    whole = np.array([sum(made.values()) for made in profiles])
    taken["everything else"] = whole - sum(taken.values())
    return [compared(kind, some, "all operations", whole) for kind, some in taken.items()]


def _ours(images, labels, batch_size):
    """A step through the pipeline, and the trainer that makes it."""
    losses = []
    pipeline = Dataset(DatasetIndex(len(images)), ResBatch).p.train_res(losses, images, labels)

    def through_pipeline():
        pipeline.next_batch(batch_size, n_epochs=None, shuffle=0)

    through_pipeline()
    return through_pipeline, pipeline.m("resnet").trainer


def _noted(steps):
    """A list that grows by the seconds of each compiled function that is called from now on."""
    seconds, compiled = [], steps.compiled

    def noting(*key, **kind):
        step = compiled(*key, **kind)

        def noted(*arguments):
            start = time.perf_counter()
            results = step(*arguments)
            seconds.append(time.perf_counter() - start)
            return results

        return noted

    steps.compiled = noting
    return seconds


def matrix_product():
    """The product of two large matrices."""
    factors = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype(np.float32)
    left, right = map(tf.constant, factors)
    return lambda: tf.matmul(left, right)


def _stock(images, labels, batch_size, steps):
    """A step of Keras' `fit`, whose turn is one call, and one of its `train_on_batch`."""
    by_batch = compiled_network()
    rng = np.random.default_rng(0)

    def train_on_batch():
        rows = rng.integers(0, len(images), batch_size)
        by_batch.train_on_batch(images[rows], labels[rows])

    fit = whole_turn(steps, small_resnet_fit(batch_size, steps))
    return {FIT: fit, "stock Keras, train_on_batch": train_on_batch}


def _processes(batch_size, steps, stack):
    """Steps of `fit` in processes of their own, which end with the stack."""
    threads, versions = set_threads(), {}
    settings = {AS_IT_COMES: {"onednn": None}, JAX: {"backend": "jax"}}
    for name, setting in settings.items():
        if name != JAX or importlib.util.find_spec("jax"):
            arguments = {"batch_size": batch_size, "steps": steps}
            make = "research.benchmarks.stock:small_resnet_fit"
            process = Process(make, arguments, environment(threads, **setting))
            versions[name] = whole_turn(steps, stack.enter_context(process))
    return versions
