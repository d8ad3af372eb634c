"""A copy of a network is equal to it, whatever state its layers have and whichever way it is made."""

import keras
import numpy as np
import pytest

from batch import FadeIn, TFModel
from batch.networks.blocks import ResidualBlock
from batch.networks.stochastic_depth import StochasticDepth

L = keras.layers
ROWS = np.random.default_rng(0).integers(0, 200, (40, 6)).astype(np.float32)


def shifted(inputs):
    return inputs / 100 - 1


class Offset(L.Layer):
    """A layer that Keras does not know, with a state that it saves itself, in both of the ways."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset, self.names = scale, 0.0, ()

    def call(self, inputs):
        return self.scale * inputs + self.offset + len(self.names)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}

    def save_own_variables(self, store):
        store["offset"] = np.array(self.offset)

    def load_own_variables(self, store):
        self.offset = float(np.array(store["offset"]))

    def save_assets(self, folder):
        with open(f"{folder}/names", "w", encoding="utf-8") as file:
            file.write("\n".join(self.names))

    def load_assets(self, folder):
        with open(f"{folder}/names", encoding="utf-8") as file:
            self.names = tuple(file.read().splitlines())


class Noisy(L.Layer):
    """It draws in inference mode too."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator()

    def call(self, inputs):
        return inputs + keras.random.normal((6,), dtype=inputs.dtype, seed=self.generator)


def adapted(layer):
    layer.adapt(ROWS)
    return layer


def built(layer, shape=(None, 6)):
    if not layer.built:
        layer.build(shape)
    for weight in layer.weights:  # as training would leave them
        if weight.dtype == "float32":
            weight.assign(np.random.default_rng(1).uniform(0.5, 1.5, weight.shape))
    return layer


def with_lora(layer, shape=(None, 6)):
    if not layer.built:
        layer.build(shape)
    layer.enable_lora(2, lora_alpha=8)
    return built(layer)


def quantized(layer):
    built(layer).quantize("int8")
    return layer


def own():
    offset = Offset(2.0, name="offset")
    offset.build((None, 6))
    offset.offset, offset.names = 5.0, ("a", "b")
    return offset


def in_a_block(*layers, wrap=False):
    block = keras.Sequential([keras.Input((6,)), *layers], name="block")
    return FadeIn(L.Dense(6, name="new"), 5, old=block) if wrap else block


def partly_frozen():
    block = in_a_block(built(L.Dense(6, name="a")), built(L.BatchNormalization()))
    block.layers[0].trainable = False
    return block


def warming_up():
    images = L.Reshape((6, 1, 1))
    depth = StochasticDepth(ResidualBlock([2, 1]), 0.5, warm_up=10)
    block = keras.Sequential([keras.Input((6,)), images, depth, L.Flatten()])
    for weight in depth.block.weights:
        weight.assign(weight + 0.5)
    depth.steps.assign(7)
    return block


def penalized(inputs):
    return 0.1 * keras.ops.sum(inputs**2)


LAYERS = {
    "adapted": lambda: adapted(L.Normalization()),
    "adapted inside": lambda: in_a_block(adapted(L.Normalization()), built(L.Dense(6))),
    "adapted, not built": lambda: in_a_block(adapted(L.Normalization()), wrap=True),
    "mean given": lambda: L.Normalization(mean=100.0, variance=400.0),
    "bins": lambda: adapted(L.Discretization(num_bins=9)),
    "bins, one hot": lambda: in_a_block(adapted(L.Discretization(num_bins=9, output_mode="count"))),
    "vocabulary": lambda: adapted(L.IntegerLookup(output_mode="multi_hot")),
    "statistics": lambda: built(L.BatchNormalization(momentum=0.5)),
    "spectral": lambda: built(L.SpectralNormalization(L.Dense(5))),
    "LoRA": lambda: with_lora(L.Dense(5, activation="relu")),
    "LoRA of words": lambda: in_a_block(
        with_lora(L.Embedding(256, 4)), L.GlobalAveragePooling1D()
    ),
    "LoRA inside": lambda: in_a_block(with_lora(L.EinsumDense("ab,bc->ac", 5))),
    "int8": lambda: quantized(L.Dense(5)),
    "int8 and LoRA": lambda: with_lora(quantized(L.Dense(5))),
    "penalties": lambda: built(
        L.Dense(5, kernel_regularizer="l2", kernel_constraint="max_norm", bias_regularizer=penalized)
    ),
    "own function": lambda: built(L.Dense(5, activation=shifted)),
    "named function": lambda: L.Lambda(shifted),
    "own class": own,
    "own class inside": lambda: in_a_block(own(), built(L.Dense(3))),
    "noise": lambda: in_a_block(built(L.Dense(6)), L.GaussianNoise(1.0), L.Dropout(0.5)),
    "noise always": lambda: built(Noisy()),
    "recurrent": lambda: in_a_block(L.Reshape((3, 2)), built(L.LSTM(4, dropout=0.5), (None, 3, 2))),
    "both ways": lambda: in_a_block(L.Reshape((3, 2)), L.Bidirectional(L.GRU(4))),
    "attention": lambda: in_a_block(L.Reshape((3, 2)), L.TimeDistributed(built(L.Dense(4), (None, 2))), L.Flatten()),
    "partly frozen": partly_frozen,
    "bfloat16": lambda: built(L.Dense(5, dtype="mixed_bfloat16")),
    "float16 inside": lambda: in_a_block(built(L.Dense(5, dtype="float16")), L.ReLU()),
    "warming up": warming_up,
}
