"""Trains on two logical devices and on one, and writes what came out to a folder, as JSON."""

import contextlib
import json
import sys

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from networks import (  # noqa: E402
    EARLY,
    FREEZING,
    IMAGES,
    LABELS,
    ROWS,
    SIZE,
    WEIGHTS,
    both,
    commanded,
    convolutions,
    made,
    plain,
    refusal,
    steps,
)

from batch import BlockModel, FadeIn, FreezeOut, StochasticDepth, TFModel  # noqa: E402
from batch.networks.layers import FusedBatchNormalization  # noqa: E402
from batch.training.export import StaticGraph  # noqa: E402
from batch.training.strategy import make_strategy  # noqa: E402
from research.benchmarks.graphs import executed_collectives  # noqa: E402


class Branched(keras.layers.Layer):
    """A residual block without normalization."""

    def build(self, shape):
        self.dense = keras.layers.Dense(shape[-1])
        self.dense.build(shape)

    def branch(self, inputs, training=None):
        return self.dense(inputs)

    def shortcut(self, inputs, training=None):
        return inputs

    def activation(self, outputs):
        return keras.ops.tanh(outputs)

    def call(self, inputs, training=None):
        return self.activation(self.branch(inputs) + self.shortcut(inputs))


def embedded():
    embedding = keras.Sequential([keras.layers.Embedding(4, 2), keras.layers.Flatten()])
    return [embedding, keras.layers.Dense(3)]


class Watching:
    """A schedule that keeps the gradient norms that it sees."""

    def __init__(self):
        self.seen = []

    def __call__(self, iteration):
        return np.array([0.0 if iteration > 1 else 0.1, 0.1])  # of two blocks

    def observe(self, iteration, gradient_norms):
        self.seen.append(np.asarray(gradient_norms).tolist())

    def get_state(self):
        return self.seen

    def set_state(self, state):
        self.seen = list(state)


def counting():
    dropped = StochasticDepth(Branched(name="dropped"), 0.5, seed=3)
    return [dropped, FadeIn(Branched(name="new"), iterations=3), keras.layers.Dense(3)]


def freezing(folder):
    """Losses, and what each step exchanges as the executed graphs have it, and as is reported.

    After two steps the model is saved, and goes on without the devices and with them.
    """
    layers, losses, path = plain(), [], f"{folder}/saved"
    alone, model = (made(each, layers, schedule=FREEZING) for each in (None, "mirrored"))
    collectives = []
    for number in range(4):
        collectives.append(executed_collectives(lambda: losses.extend(steps(model, count=1))))
        if number == 1:
            model.save(path)
    resumed = [TFModel({"load": {"path": path}, **more}) for more in ({}, {"strategy": "mirrored"})]
    replicas, blocks = model.trainer.replicas, model.network.layers
    sizes = [sum(4 * w.shape.num_elements() for w in block.trainable_weights) for block in blocks]
    return {
        "losses": [steps(alone), losses],
        "collectives": collectives,
        "active": [sum(sizes[frozen:]) for frozen in (0, 1)],
        "reported": [replicas.bytes, replicas.bytes_saved],
        "resumed": [[each.trainer.replicas is not None, steps(each, count=2)] for each in resumed],
    }


def normalization():
    """Moving statistics after a step."""
    norm = FusedBatchNormalization(momentum=0.5, name="norm")
    head = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    model = made("mirrored", [keras.Sequential([keras.layers.Reshape((1, 1, 6)), norm]), head])
    steps(model, count=1)
    norm = model.network.layers[0].layers[-1]
    parts = [ROWS[:3], ROWS[3:SIZE]]
    expected = [
        0.5 * before + 0.5 * sum(len(part) * of(part) for part in parts) / SIZE
        for before, of in ((0, lambda p: p.mean(0)), (1, lambda p: p.var(0, ddof=1)))
    ]
    found = norm.moving_mean, norm.moving_variance
    return [np.asarray(each).tolist() for each in (*found, *expected)]


def dropout():
    """What an identity after dropout gives in training."""
    classifier = keras.layers.Dense(3, kernel_initializer="identity")
    layers = [keras.layers.Dropout(0.5, seed=1), classifier]
    model = made("mirrored", layers, np.ones((16, 3), np.float32))
    ones = np.ones((16, 3), np.float32)
    return [model.train(ones, LABELS, fetches="predictions").tolist() for _ in range(2)]


def watched():
    """Gradient norms that a schedule sees."""
    layers = plain()
    models = [made(strategy, layers, schedule=Watching()) for strategy in (None, "mirrored")]
    for model in models:
        steps(model)
    return [model.trainer.schedule.seen for model in models]


def fitted(layers, scope):
    """Logs of a `BlockModel` made in a scope."""
    twins = keras.models.clone_model(layers)
    with scope:
        model = BlockModel(keras.Sequential([keras.Input((6,)), *twins.layers]))
        model.compile(
            keras.optimizers.Adam(0.01),
            "sparse_categorical_crossentropy",
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="right"), "accuracy"],
            schedule=lambda blocks: FreezeOut(blocks, 4, 0.05, 0.5),
        )
    model.set_weights(layers.get_weights())
    logs = model.fit(
        *(ROWS, LABELS),
        sample_weight=np.linspace(0, 2, 16),
        validation_data=(ROWS, LABELS),
        **{"batch_size": SIZE, "epochs": 2, "shuffle": False, "verbose": 0},
    )
    return {**logs.history, "evaluated": model.evaluate(ROWS, LABELS, verbose=0)}


def block_model():
    """What `fit` says with one device and with two, and refusals."""
    layers = keras.Sequential([keras.Input((6,)), *plain()[:2], keras.layers.Dense(3, "softmax")])
    strategy = make_strategy("mirrored")
    logs = [fitted(layers, scope) for scope in (contextlib.nullcontext(), strategy.scope())]
    with strategy.scope():
        model = BlockModel(keras.Sequential([keras.Input((6,)), *plain()]))
        summed = keras.losses.MeanSquaredError(reduction="sum")
        refused = [refusal(lambda: model.compile(loss=summed))]
        model.compile(loss="mse")
        refused.append(refusal(lambda: model.fit(ROWS, LABELS, verbose=0)))
    return {"logs": logs, "refused": refused}


def refusals():
    """What is refused, with its sentence."""
    sample = [StochasticDepth(Branched(), 0.5, mode="sample"), keras.layers.Dense(3)]
    synchronized = [keras.layers.BatchNormalization(synchronized=True), keras.layers.Dense(3)]
    model = made("mirrored", plain())
    return {
        "sample": refusal(lambda: made("mirrored", sample)),
        "synchronized": refusal(lambda: made("mirrored", synchronized)),
        "few": refusal(lambda: model.train(ROWS, LABELS, rows=[3])),
        "export": refusal(lambda: StaticGraph(model.trainer, 3, dtype="float32")),
        "iteration": model.iteration,
    }


def main(folder):
    crops = {"pad": 1, "flip": True}
    views = {"augment": {**crops, "views": 1}, "cache": "memory"}
    clipped = {"optimizer": ("Adam", {"global_clipnorm": 0.01}), "weight_decay": 0.01}
    accumulated = ("SGD", {"gradient_accumulation_steps": 2})
    equal = {
        "weights, decay, clipped": both("mirrored", plain, weights=WEIGHTS, **clipped),
        "accumulated": both("mirrored", plain, schedule=FREEZING, optimizer=accumulated),
        "microbatches": both(
            *("mirrored", plain), schedule=FREEZING, microbatch_size=2, cache="off"
        ),
        "counters": both("mirrored", counting, learning_rate=0.1),
        "augmented": both("mirrored", convolutions, IMAGES, schedule=FREEZING, augment=crops),
        "embedded": both("mirrored", embedded, np.abs(ROWS).astype(int) % 4, learning_rate=0.1),
        "views": both("mirrored", convolutions, IMAGES, count=6, schedule=EARLY, **views),
    }
    by_hand = equal["microbatches"][1]
    for model in by_hand:  # all frozen by now
        model.network.layers[0].kernel.assign(model.network.layers[0].kernel * 2)
    done = normalization, dropout, watched, block_model, refusals
    found = {
        "equal": {name: given for name, (given, _) in equal.items()},
        "hits": [int(model.trainer.cache.hits) for model in equal["views"][1]],
        "by_hand": [steps(model, count=1) for model in by_hand],
        "freezing": freezing(folder),
        **{function.__name__: function() for function in done},
        "status": [
            commanded("--out", f"{folder}/alone"),
            commanded("--out", f"{folder}/mirrored", "--strategy", "mirrored"),
        ],
    }
    with open(f"{folder}/mirrored.json", "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(sys.argv[1])
