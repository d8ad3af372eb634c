"""A training step of the small ResNet that reads what frozen blocks computed from the cache.

Beside the active blocks alone, as a network of their own that is fed their inputs from memory;
beside the step without a cache; and by each way of keeping features. What is measured are hits.
Then all steps from the first visit of each image on, features computed and written, beside no
cache, in memory that is new each time. Last, the frozen prefix with its normalizations folded into
the convolutions, beside it as it is.
"""

import functools

import numpy as np
import tensorflow as tf

from batch import TFModel
from batch.data.examples import Examples
from batch.feature_cache.stores import STORES
from research.benchmarks.folding import folded_prefix
from research.benchmarks.freezeout import StageByHand, fresh_trainer, steps_by_hand
from research.benchmarks.harness import Part, compared, in_turn, timed
from research.benchmarks.small import random_examples

EXAMPLES = 3000
STAGES = (1, 2, 3, 4)
SECONDS = {1: 0.55, 2: 0.48, 3: 0.41, 4: 0.23}  # `each` of `Part`, by stage
VISITED, VISITS, TURNS = 30_000, (2, 3, 4, 6), 3


def parts(quick=False):
    """Each stage, the first visits, and the folding; quick, the stage that saves most."""
    stages = [
        Part(f"{frozen} frozen", functools.partial(_rows, frozen), 25, SECONDS[frozen])
        for frozen in (STAGES[-1:] if quick else STAGES)
    ]
    more = [Part("visits", _visits_rows, 180, 0), Part("folding", _folding_rows, 8, 0.06)]
    return stages if quick else stages + more


def _rows(frozen, repetitions, batch_size):
    examples = tuple(map(tf.constant, random_examples(EXAMPLES)))
    rng = np.random.default_rng(0)
    trainers = {kind: fresh_trainer(kind) for kind in ("off", *STORES)}
    versions = {
        kind: steps_by_hand(trainer, *examples, batch_size, rng)[frozen]
        for kind, trainer in trainers.items()
    }
    versions["alone"] = _alone(trainers["off"], frozen, examples, batch_size, rng)
    for kind in STORES:  # fill it
        trainers[kind].schedule.frozen = frozen
        for at in range(0, EXAMPLES, batch_size):
            rows = np.arange(at, at + batch_size) % EXAMPLES
            trainers[kind].step(Examples(*examples, rows))
    seconds = in_turn(versions, repetitions)
    what = f"{frozen} frozen, cached"
    yield compared(what, seconds["memory"], "active blocks alone", seconds["alone"], 1)
    yield compared(what, seconds["memory"], "no cache", seconds["off"])
    for kind in ("mapped", "compressed"):
        yield compared(f"{what}, {kind}", seconds[kind], "in memory", seconds["memory"])


def _alone(trainer, frozen, examples, batch_size, rng):
    """A step of the active blocks as a network of their own, their inputs in memory."""
    features = trainer.preprocessing.inference(examples[0])
    for layer in trainer.network.layers[:frozen]:
        features = layer(features, training=False)
    inputs = {"features": {"shape": tuple(features.shape[1:])}, "labels": {"classes": 10}}
    network = trainer.network.layers[frozen:]
    optimizer = ("SGD", {"momentum": 0.9, "nesterov": True})
    alone = TFModel({"inputs": inputs, "network": network, "optimizer": optimizer}).trainer
    alone.schedule = StageByHand(alone.blocks)
    return lambda: alone.step(
        Examples(features, examples[1], rng.integers(0, EXAMPLES, batch_size))
    )


def _visits_rows(_, batch_size):
    """The first visits of each image with most blocks frozen, beside no cache."""
    frozen = max(STAGES)
    examples = tuple(map(tf.constant, random_examples(VISITED)))
    trainers = {kind: fresh_trainer(kind) for kind in ("off", "memory")}
    for trainer in trainers.values():
        trainer.schedule.frozen = frozen
        _visit(trainer, examples, range(batch_size), batch_size)  # compiled
    rng, seconds = np.random.default_rng(0), {kind: [] for kind in trainers}
    for _ in range(TURNS):
        orders = [rng.permutation(VISITED) for _ in range(max(VISITS))]
        for kind, trainer in trainers.items():
            trainer.cache.clear()
            each = [
                timed(lambda: _visit(trainer, examples, order, batch_size))  # noqa: B023
                for order in orders
            ]
            seconds[kind].append(np.cumsum(each))
    ours, theirs = (np.transpose(seconds[kind]) for kind in ("memory", "off"))
    for visits in VISITS:
        what = f"{frozen} frozen, {visits} visits of {VISITED:,} images, cached"
        yield compared(what, ours[visits - 1], "no cache", theirs[visits - 1])


def _visit(trainer, examples, order, batch_size):
    """Steps through all examples, until their features are written."""
    for at in range(0, len(order), batch_size):
        trainer.step(Examples(*examples, np.asarray(order[at : at + batch_size])))
    trainer.cache.settle()


def _folding_rows(repetitions, batch_size):
    images = tf.constant(random_examples(batch_size)[0])
    trainer = fresh_trainer()
    blocks = trainer.network.layers[: max(STAGES)]

    @tf.function(autograph=False)
    def as_it_is(features):
        for layer in blocks:
            features = layer(features, training=False)
        return features

    features = trainer.preprocessing.inference(images)
    folded = folded_prefix(blocks)
    np.testing.assert_allclose(folded(features), as_it_is(features), rtol=1e-3, atol=1e-4)
    versions = {"folded": lambda: folded(features), "as it is": lambda: as_it_is(features)}
    seconds = in_turn(versions, repetitions)
    what = f"forward pass of {max(STAGES)} frozen blocks, normalizations folded"
    return [compared(what, seconds["folded"], "as it is", seconds["as it is"])]
