"""Tries kernels and a cache in a process of its own; prints what differs, as JSON."""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from batch import TFModel, machine
from batch.feature_cache.places import leaves_rest, same_everywhere
from batch.runtime import set_threads

SIZES = (1, 7, 32, 50, 300)
KERNELS = {  # shape of an example, and a layer
    "convolution": ((8, 8, 8), keras.layers.Conv2D(8, 3)),
    "strided": ((9, 9, 4), keras.layers.Conv2D(8, 3, 2)),
    "depthwise": ((7, 7, 12), keras.layers.DepthwiseConv2D(3)),
    "dense": ((64,), keras.layers.Dense(32)),
    "normalized": ((5, 5, 3), keras.layers.BatchNormalization()),
    "pooled": ((5, 5, 7), keras.layers.GlobalAveragePooling2D()),
    "relu": ((15,), keras.layers.ReLU()),
    "even": ((16,), keras.layers.Activation("exponential")),
    "uneven": ((15,), keras.layers.Activation("exponential")),
    "gated": ((15,), keras.layers.Activation("sigmoid")),
    "layer": ((5, 5, 7), keras.layers.LayerNormalization()),
}


def kernels():
    """For each kernel and size: whether bits differ by place, and whether we say they may."""
    found = {}
    for name, (shape, layer) in KERNELS.items():
        inputs = np.random.default_rng(0).normal(size=(300, *shape)).astype(np.float32)
        layer.build((None, *shape))
        spec = tf.TensorSpec((None, *shape), tf.float32)
        function = tf.function(lambda x, layer=layer: (layer(x), ()), input_signature=[spec])
        frozen = function.get_concrete_function()
        for size in SIZES:
            outputs = frozen(tf.constant(inputs[:size]))[0].numpy()
            orders = [np.random.default_rng(seed).permutation(size) for seed in range(4)]
            differs = any(
                not np.array_equal(outputs[order], frozen(tf.constant(inputs[order]))[0])
                for order in orders
            )
            found[f"{name} {size}"] = differs, may_differ(frozen, tf.constant(inputs[:1]), size)
    return found


def may_differ(frozen, example, size):
    """Whether we say that bits depend on the place in a batch of some size."""

    def compute():
        return frozen(tf.repeat(example, size, axis=0))[0]

    graph = frozen.graph
    same = same_everywhere(compute, [graph], example, (size,))
    return leaves_rest(graph, size) or not same


def model(cache, narrow, **config):
    """A network that freezes its first block for good; a narrow one has a rest of exponentials."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Sequential(
            [
                keras.layers.Conv2D(8, 3, activation="relu"),
                keras.layers.Conv2D(8, 1),
                keras.layers.Flatten(),
                keras.layers.Dense(5 if narrow else 16, activation="sigmoid"),
            ],
            name="base",
        ),
        keras.layers.Dense(3),
    ]
    inputs = {"images": {"shape": (6, 6, 3)}, "labels": {"classes": 3}}
    given = {"inputs": inputs, "network": layers, "freeze": ["base"], "learning_rate": 0.05}
    return TFModel({**given, "cache": cache, **config})


def losses(narrow, sizes, count=600, **config):
    """For each size: whether losses are those without a cache, and how many features were read."""
    rng, found = np.random.default_rng(1), {}
    images = rng.normal(size=(count, 6, 6, 3)).astype(np.float32)
    labels = rng.integers(0, 3, count)
    plain, kept = model("off", narrow, **config), model(1e9, narrow, **config)
    cache = kept.trainer.cache
    for size in sizes:
        cache.requests = cache.computed = 0
        rows = [half for _ in range(4) for half in np.split(rng.permutation(2 * size), 2)]
        same = [
            plain.train(images, labels, rows=some) == kept.train(images, labels, rows=some)
            for some in rows
        ]
        found[size] = all(same), cache.requests - cache.computed
    return found


if __name__ == "__main__":
    set_threads(int(sys.argv[1]))
    machine.FORWARD_SPEED = 1e5  # so that the cache pays
    found = {"even": losses(False, SIZES), "narrow": losses(True, SIZES[1:3])}
    views = {"count": 100, "augment": {"pad": 1, "flip": True, "views": 2}}
    found["views"] = losses(False, (50,), **views)
    found["narrow views"] = losses(True, (50,), **views)
    print(json.dumps({"kernels": kernels(), **found}))
