"""ResNet50 on ImageNet (1,281,167 images of 224×224) on eight devices, as it can be computed.

What a device sends in a step with blocks frozen, where gradients are summed around a ring, and how
long that and the step's multiply-adds take with the rates below, beside nothing frozen. How large
the features after each stage are, in float32, bfloat16 and compressed, which is measured on parts
of two photographs; the weights are random, the statistics those of the photographs. And from which
speed of storage on reading them beats computing them: measured here, computed for the devices.
"""

import functools

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_sample_images

from batch import flops
from batch.data.examples import Examples
from batch.feature_cache.stores import CompressedStore, as_stored
from batch.networks.resnet import resnet
from research.benchmarks.growth import make_model
from research.benchmarks.harness import Part, compared, in_turn
from research.benchmarks.small import random_examples

SHAPE, CLASSES, DEPTH = (224, 224, 3), 1000, 50
ENDS = {"the stem": 1, "stage 1": 4, "stage 2": 8, "stage 3": 14, "stage 4": 17}  # in blocks
EXAMPLES = 1_281_167
DEVICES, BATCH = 8, 32  # and images of a step on each
DEVICE = 5e13  # multiply-adds a second of a device
LINK = 12.5e9  # bytes a second that a device sends: 100 Gbit/s
PARTS = 8  # of photographs
SETTLING = 20  # steps in training mode, after which the statistics are those of the photographs


def parts(quick=False):
    """What is exchanged, the sizes of features, and reading them against computing them."""
    exchange = [Part("exchange", _exchange_rows, 10, 0, most=1)]
    features = [Part("features", _size_rows, 10, 0, most=1)]
    return (
        exchange if quick else [*exchange, *features, Part("reading", _reading_rows, 15, 5, 1, 5)]
    )


def _exchange_rows(*_):
    costs, overhead = _costs(), _overhead()
    work, sent = zip(*(_step(costs, frozen) for frozen in (0, *ENDS.values())))
    seconds = [BATCH * own / DEVICE + each / LINK + overhead for own, each in zip(work, sent)]
    for number, frozen in enumerate((0, *ENDS.values())):
        what = f"{frozen} of {len(costs) - 1} blocks frozen"
        sums = 1e-6 * sent[number], "0 frozen", 1e-6 * sent[0]
        yield _row(f"{what}: sent by a device in a step", *sums, "MB")
        steps = 1e3 * seconds[number], "0 frozen", 1e3 * seconds[0]
        note = (
            f"{1e3 * sent[number] / LINK:.1f} ms of it exchange, {1e3 * overhead:.1f} ms overhead"
        )
        expected = work[number] / work[0]
        yield _row(f"{what}: step of {BATCH} images a device", *steps, "ms", expected, note)


def _step(costs, frozen):
    """Multiply-adds of a step for an image, and bytes that a device sends in it."""
    active = [block >= frozen for block in range(len(costs))]
    gradients = sum(4 * cost.parameters for cost, learns in zip(costs, active) if learns)
    return flops.step_cost(costs, active), 2 * (DEVICES - 1) / DEVICES * gradients


def _overhead():
    """Seconds that a step takes beside its arithmetic: one of hardly any, measured here."""
    trainer, placed = make_model(0).trainer, tuple(map(tf.constant, random_examples(2)))
    step = functools.partial(trainer.step, Examples(*placed, np.arange(2)))
    return float(np.median(in_turn({"step": step}, 20)["step"]))


def _size_rows(*_):
    image = int(np.prod(SHAPE))
    for name, features in _features().items():
        plain = features[0].numpy().nbytes
        kinds = {"float32": features, "bfloat16": tf.cast(features, tf.bfloat16)}
        for kind, values in kinds.items():
            whole, packed = values[0].shape.num_elements() * values.dtype.size, _compressed(values)
            peer, theirs = ("pixels", image) if kind == "float32" else ("float32", plain)
            yield _size_row(f"{name}, {kind}", whole, peer, theirs)
            yield _size_row(f"{name}, {kind}, compressed", packed.bytes / PARTS, kind, whole)


def _size_row(what, size, peer, theirs):
    note = f"all images: {size * EXAMPLES / 1e12:.3f} TB"
    return _row(f"after {what}", size / 1e6, peer, theirs / 1e6, "MB an image", note=note)


def _reading_rows(repetitions, _):
    """What a step that reads compressed features takes for them, beside computing them."""
    features, costs, images = _features(), _costs(), tf.constant(_photographs())
    for name, depth in ENDS.items():
        packed = _compressed(features[name])
        compute = _prefix(depth)
        versions = {
            "read": functools.partial(packed.read, range(PARTS)),
            "compute": functools.partial(compute, images),
        }
        seconds = {key: took / PARTS for key, took in in_turn(versions, repetitions, 1).items()}
        size = features[name][0].numpy().nbytes
        work = sum(cost.frozen() for cost in costs[:depth])
        here, there = size / np.median(seconds["compute"]), size * DEVICE / work
        note = (
            f"float32 from storage beats computing above {here / 1e6:.0f} MB/s here, "
            f"{DEVICES} × {there / 1e9:.1f} GB/s for the devices"
        )
        what = f"after {name}: an image's features, compressed in memory"
        yield compared(what, seconds["read"], "computed", seconds["compute"], None, note)


@functools.cache
def _network():
    """The network, with statistics that have settled on the photographs."""
    network, images = resnet(DEPTH, SHAPE, CLASSES), tf.constant(_photographs())
    settle = tf.function(lambda: network(images, training=True))
    for _ in range(SETTLING):
        settle()
    return network


@functools.cache
def _costs():
    return flops.block_costs(_network())


def _photographs():
    """Parts of two photographs, shape `(PARTS, *SHAPE)`, of 0 … 1."""
    height, width, _ = SHAPE
    photographs, rng = load_sample_images().images, np.random.default_rng(0)
    cut = []
    for number in range(PARTS):
        photograph = photographs[number % len(photographs)]
        top, left = (
            rng.integers(0, most - size + 1) for most, size in zip(photograph.shape[:2], SHAPE)
        )
        cut.append(photograph[top : top + height, left : left + width])
    return np.array(cut, np.float32) / 255


def _prefix(depth):
    """A function of images: their features after so many blocks, in inference mode."""
    layers = _network().layers[:depth]

    @tf.function(autograph=False)
    def features(values):
        for layer in layers:
            values = layer(values, training=False)
        return values

    return features


@functools.cache
def _features():
    """The features of the photographs after each stage."""
    values, start, made = tf.constant(_photographs()), 0, {}
    for name, end in ENDS.items():
        for layer in _network().layers[start:end]:
            values = layer(values, training=False)
        made[name], start = values, end
    return made


def _compressed(features):
    """A store of the features, as the cache compresses them."""
    stored = as_stored(features).numpy()
    store = CompressedStore(len(stored), stored.shape[1:], stored.dtype)
    store.write(range(len(stored)), stored)
    return store


def _row(what, ours, peer, theirs, unit, expected=None, note=""):
    return compared(what, np.array([ours]), peer, np.array([theirs]), expected, note, unit)
