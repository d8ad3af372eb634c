"""A training step of the small ResNet, nothing frozen: the classic pipeline against its peers.

Turns of 60 steps, which spreads what a call of `fit` costs, and what the threads of one library
leave behind for the other. The last row has the share of the processor's peak in multiply-adds that
the step reaches: the inverse of its ratio to one large matrix product.
"""

import time

import keras
import numpy as np
import tensorflow as tf
from batchflow import Dataset, DatasetIndex

from batch import ResBatch
from batch.flops import block_costs, step_cost
from research.benchmarks.harness import compared, in_turn, in_turns_of
from research.benchmarks.torch_peer import torch_versions

STEPS = 60  # in a turn
SIDE = 2048  # of the matrices whose product tells the peak
SGD = {"learning_rate": 0.03, "momentum": 0.8, "nesterov": True}


def measure(repetitions, batch_size):
    """Rows of the table."""
    images, labels = random_examples(STEPS * batch_size, (28, 28, 1))
    pipeline, trainer = _ours(images, labels, batch_size)
    stock = _stock(images, labels, batch_size)
    versions = {"ours": pipeline, **stock, **torch_versions(images, labels, batch_size, SGD)}
    seconds = in_turns_of(STEPS, versions, repetitions)
    compiled = _noted(trainer.steps)
    alone = in_turn({"ours": pipeline, "product": _product()}, repetitions)
    compiled = np.array(compiled[-repetitions:])
    blocks = trainer.network.layers
    cost = batch_size * step_cost(block_costs(trainer.network), (True,) * len(blocks))
    at_peak = alone["product"] * cost / SIDE**3
    share = np.median(at_peak / compiled)
    peers = [*stock, "PyTorch, eager, channels_last"]
    return [
        *(compared("classic step", seconds["ours"], peer, seconds.get(peer)) for peer in peers),
        compared("classic step", alone["ours"], "the compiled function in it", compiled, 1),
        compared(
            "the compiled function in it",
            compiled,
            "its multiply-adds in one matrix product",
            at_peak,
            note=f"{100 * share:.0f} % of the peak",
        ),
    ]


def random_examples(count, shape):
    """Random images, uint8, and their classes, of which there are ten."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    labels[:10] = np.arange(10)
    return images, labels


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


def _product():
    """The product of two large matrices."""
    factors = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype(np.float32)
    left, right = map(tf.constant, factors)
    return lambda: tf.matmul(left, right)


def _stock(images, labels, batch_size):
    """A step of Keras' `fit`, whose turn is one call, and one of its `train_on_batch`."""
    keras.utils.set_random_seed(0)  # op determinism asks for it
    fitted, by_batch = stock_network(), stock_network()
    for network in (fitted, by_batch):
        network.compile(
            optimizer=keras.optimizers.SGD(**SGD),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    made = iter(range(10**9))
    rng = np.random.default_rng(0)

    def fit():
        if next(made) % STEPS == 0:  # one call makes the steps of a turn
            fitted.fit(images, labels, batch_size=batch_size, verbose=0)

    def train_on_batch():
        rows = rng.integers(0, len(images), batch_size)
        by_batch.train_on_batch(images[rows], labels[rows])

    return {"stock Keras, fit": fit, "stock Keras, train_on_batch": train_on_batch}


def stock_network():
    """The small ResNet as a Keras user would write it, with Keras' own layers."""
    inputs = keras.Input((28, 28, 1))
    features = keras.layers.Rescaling(1 / 255)(inputs)
    features = _normalized(features, 32, 7, strides=2, relu=True)
    features = keras.layers.MaxPooling2D(2)(features)
    for filters in [[32, 32, 128]] * 2 + [[64, 64, 256]] * 2:
        branch = _normalized(features, filters[0], 1, relu=True)
        branch = _normalized(branch, filters[1], 3, relu=True)
        branch = _normalized(branch, filters[2], 1)
        if features.shape[-1] != filters[2]:
            features = _normalized(features, filters[2], 1)
        features = keras.layers.ReLU()(branch + features)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(inputs, keras.layers.Dense(10)(features))


def _normalized(features, filters, size, strides=1, relu=False):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    features = keras.layers.Conv2D(filters, size, strides, **options)(features)
    features = keras.layers.BatchNormalization(momentum=0.9)(features)
    return keras.layers.ReLU()(features) if relu else features
