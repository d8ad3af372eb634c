"""A training step of the small ResNet, nothing frozen: the classic pipeline against its peers.

Milliseconds a step, median (quartiles), the two versions of a row in turn; ratios are of the
medians, ours over the peer's. Keras' `fit` and PyTorch take turns of 60 steps, which spreads what a
call of `fit` costs, and what the threads of one library leave behind for the other.
"""

import importlib.util

import keras
import numpy as np
import tensorflow as tf
from batchflow import Dataset, DatasetIndex

from batch import ResBatch
from research.benchmarks.timing import in_turn, milliseconds

COLUMNS = ("what", "ours, ms", "peer, ms", "ratio")
STEPS = 60  # in a turn
SGD = {"learning_rate": 0.03, "momentum": 0.8, "nesterov": True}


def measure(repetitions, batch_size):
    """Rows of the table."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (STEPS * batch_size, 28, 28, 1), dtype=np.uint8)
    labels = rng.integers(0, 10, len(images))
    labels[:10] = np.arange(10)
    pipeline, compiled = _ours(images, labels, batch_size)
    turns = max(repetitions // STEPS, 3)
    fit = _keras_fit(images, labels, batch_size)
    rows = [
        _row("stock Keras: compile and fit", _turn(pipeline), fit, turns, STEPS),
        _row("our compiled step, without BatchFlow and Python", pipeline, compiled, repetitions),
    ]
    if importlib.util.find_spec("torch"):
        from research.benchmarks.torch_step import torch_step

        step = _turn(torch_step(images, labels, batch_size, SGD))
        rows.append(_row("PyTorch: eager, channels_last", _turn(pipeline), step, turns, STEPS))
    else:
        rows.append(("PyTorch: not installed (pip install resbatch[bench])", "", "", ""))
    return rows


def _row(name, ours, peer, repetitions, steps=1):
    seconds = in_turn({"ours": ours, "peer": peer}, repetitions, warm_up=1)
    ours, peer = (seconds[key] / steps for key in ("ours", "peer"))
    return name, milliseconds(ours), milliseconds(peer), f"{np.median(ours) / np.median(peer):.3f}"


def _turn(step):
    """A function that makes the steps of one turn."""
    return lambda: [step() for _ in range(STEPS)]


def _ours(images, labels, batch_size):
    """A step through the pipeline, and the compiled function in it on its own."""
    losses = []
    pipeline = Dataset(DatasetIndex(len(images)), ResBatch).p.train_res(losses, images, labels)

    def through_pipeline():
        pipeline.next_batch(batch_size, n_epochs=None, shuffle=0)

    through_pipeline()
    trainer = pipeline.m("resnet").trainer
    blocks = len(trainer.network.layers)
    placed = tf.constant(images), tf.constant(labels)
    step = trainer.compiled_step(placed[0], (True,) * blocks)
    rows = tf.constant(np.random.default_rng(0).permutation(len(images))[:batch_size])
    rates = tf.fill([blocks], SGD["learning_rate"])
    iteration = tf.constant(0)
    return through_pipeline, lambda: float(step(*placed, rows, rows, rates, iteration)[0])


def _keras_fit(images, labels, batch_size):
    keras.utils.set_random_seed(0)  # op determinism asks for it
    network = stock_network()
    network.compile(
        optimizer=keras.optimizers.SGD(**SGD),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return lambda: network.fit(images, labels, batch_size=batch_size, verbose=0)


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
