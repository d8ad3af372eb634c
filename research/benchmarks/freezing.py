"""A training step with some blocks frozen for good, in front, in the middle, behind, all over.

Stock Keras with `trainable = False` set before compiling, or after a first step; and our `freeze`,
with the same layers, no cache: each against the step of the same version with nothing frozen; and,
with nothing frozen, ours against Keras'. The note has the gradients of convolution kernels and the
operations of all kinds in the graph that is executed, and the memory that building and training
takes in a process of its own.
"""

import concurrent.futures
import dataclasses
import functools
import multiprocessing

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from batch import TFModel, as_blocks
from batch.data.examples import Examples
from batch.networks.freeze_by_name import freeze_layers
from batch.networks.resnet import small_resnet
from research.benchmarks.graphs import executed_operations
from research.benchmarks.harness import Part, compared, in_turn
from research.benchmarks.processes import megabytes

BEFORE, AFTER, OURS = "Keras, before compiling", "Keras, after a step", "ours"
SGD = {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True}
WORDS, LENGTH, CHANNELS = 100_000, 50, 128  # of the text network


def small():
    """The small ResNet."""
    return small_resnet((28, 28, 1), 10).layers


def text():
    """A text-like network: a large embedding, a convolution over words, a classifier."""
    keras.utils.set_random_seed(0)
    return [
        keras.layers.Embedding(WORDS, CHANNELS, name="embedding"),
        keras.layers.Conv1D(CHANNELS, 5, activation="relu", name="convolution"),
        keras.layers.GlobalMaxPooling1D(name="pool"),
        keras.layers.Dense(10, name="classifier"),
    ]


def resnet50():
    """`keras.applications.ResNet50`, a functional model, cut into blocks after its stages."""
    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(
        weights=None, input_shape=(32, 32, 3), classes=10, classifier_activation=None
    )
    ends = ("conv2_block3", "conv3_block4", "conv4_block6", "conv5_block3")
    return as_blocks(model, ["pool1_pool", *(f"{end}_out" for end in ends)])


NETWORKS = {  # blocks, shape of an example, share of the batch, what is frozen; seconds of `Part`
    "small ResNet": (
        small,
        (28, 28, 1),
        1,
        {
            "nothing": [],
            "front: stem, blocks 0, 1": ["stem", "block[01]"],
            "middle: blocks 1, 2": ["block[12]"],
            "all over: stem, blocks 1, 3": ["stem", "block[13]"],
            "behind: block 3, classifier": ["block3", "classifier"],
        },
        *(230, 1.5),
    ),
    "text": (text, (LENGTH,), 1, {"nothing": [], "front: embedding": ["embedding"]}, 55, 0.2),
    "Keras' ResNet50": (
        resnet50,
        (32, 32, 3),
        1 / 10,
        {"nothing": [], "front: stages 1 to 4": ["pool1_pool", "conv[234].*"]},
        *(300, 1.0),
    ),
}


def parts(quick=False):
    """A network each; quick, the one of text, without memory."""
    if quick:
        return [Part("text", functools.partial(rows, "text", memory=False), 15, 0.2)]
    return [Part(name, functools.partial(rows, name), *NETWORKS[name][4:]) for name in NETWORKS]


def rows(name, repetitions, batch_size, memory=True):
    """Rows of a network; memory, a process a row, may be left out."""
    return [
        compared(
            f"{case.network}, {case.frozen}: {case.version}",
            case.seconds,
            f"nothing: {case.peer}",
            case.whole,
            note=f"{case.gradients} kernel gradients of {case.operations} operations"
            + (f", {case.memory} MB" if memory else ""),
        )
        for case in cases(repetitions, batch_size, [name], memory)
    ]


@dataclasses.dataclass(frozen=True)
class Case:
    """What was measured of a version with something frozen.

    Attributes
    ----------
    network, frozen, version : str
    peer : str
        The version whose step with nothing frozen it is compared to.
    seconds, whole : ndarray, shape (repetitions,)
        Of its steps, and of the peer's.
    gradients, operations : int
        Gradients of convolution kernels, and operations of all kinds, that were executed.
    memory : float or None
        Megabytes.
    """

    network: str
    frozen: str
    version: str
    peer: str
    seconds: np.ndarray
    whole: np.ndarray
    gradients: int
    operations: int
    memory: float | None

    @property
    def ratio(self):
        """Its median over the repetitions."""
        return np.median(self.seconds / self.whole)


def cases(repetitions, batch_size, networks=None, memory=True):
    """What `rows` tells, as a list of `Case`."""
    return [
        case
        for name in networks or NETWORKS
        for case in _cases(name, repetitions, batch_size, memory)
    ]


def _cases(name, repetitions, batch_size, memory):
    share, sets = NETWORKS[name][2:4]
    batch_size = max(round(share * batch_size), 1)
    keys = [(frozen, version) for frozen in sets for version in (BEFORE, AFTER, OURS)]
    keys.remove(("nothing", AFTER))
    made = {key: _step(name, *key, batch_size) for key in keys}
    seconds = in_turn({key: step for key, (step, _) in made.items()}, repetitions)
    for key in tqdm(keys, leave=False, unit="process", disable=not memory):
        frozen, version = key
        peer = BEFORE if version == AFTER or key == ("nothing", OURS) else version
        operations = made[key][1]
        yield Case(
            *(name, frozen, version, peer, seconds[key], seconds["nothing", peer]),
            operations["Conv2DBackpropFilter"],
            sum(operations.values()),
            _memory(name, *key, batch_size) if memory else None,
        )


def _step(name, frozen, version, batch_size):
    """A function that makes a step of some version, and the operations of its first."""
    make, shape, _, sets, *_ = NETWORKS[name]
    examples = _examples(shape, batch_size)
    if version == OURS:
        step = _our_step(make(), shape, sets[frozen], examples)
        return step, executed_operations(step)
    network = keras.Sequential([keras.Input(shape), *make()])
    if version == BEFORE:
        freeze_layers(network, sets[frozen])
    network.compile(
        keras.optimizers.SGD(**SGD),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    step = functools.partial(network.train_on_batch, *examples)
    operations = executed_operations(step)
    if version == AFTER:
        freeze_layers(network, sets[frozen])
    return step, operations


def _our_step(layers, shape, frozen, examples):
    inputs = {"examples": {"shape": shape}, "labels": {"classes": 10}}
    config = {"inputs": inputs, "network": layers, "optimizer": ("SGD", SGD), "freeze": frozen}
    config["cache"] = "off"
    trainer = TFModel(config).trainer
    rows = np.arange(len(examples[1]))
    return lambda: trainer.step(Examples(*examples, rows))


def _examples(shape, count):
    rng = np.random.default_rng(0)
    high = WORDS if len(shape) == 1 else 1
    values = rng.uniform(0, high, (count, *shape))
    values = np.floor(values) if len(shape) == 1 else values
    return tf.constant(values, tf.float32), tf.constant(rng.integers(0, 10, count))


def _memory(*case):
    """Megabytes that a process takes at its peak for building a version and three steps of it."""
    fresh = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(_peak, *case).result()


def _peak(*case):
    """What `_memory` does in a process of its own; NaN where Linux does not tell."""
    before = megabytes("VmRSS")
    step, _ = _step(*case)
    for _ in range(3):
        step()
    taken = megabytes("VmHWM") - before
    return taken if np.isnan(taken) else round(taken)
