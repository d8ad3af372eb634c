import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel

RATE = {"learning_rate": 0.05}


class Noise(keras.layers.Layer):
    """A layer that is random in inference too, somewhere within."""

    def call(self, inputs):
        def noisy():
            return inputs + tf.random.truncated_normal((), seed=1, dtype=inputs.dtype)

        return tf.cond(tf.reduce_sum(inputs) > 0, noisy, lambda: inputs)


class Counting(keras.layers.Layer):
    """A layer that remembers in inference what it has seen."""

    def build(self, shape):
        self.seen = self.add_weight(shape=(), trainable=False)

    def call(self, inputs):
        self.seen.assign_add(1.0)
        return inputs


class Resized(keras.layers.Layer):
    """A layer whose outputs have a shape that only its inputs' values tell."""

    def call(self, inputs):
        side = tf.cast(tf.minimum(tf.reduce_max(inputs), 0.0), tf.int32) + 8
        return tf.image.resize(inputs, [side, side])

    def compute_output_shape(self, shape):
        return shape


def test_augmented_images_are_not_served(by_hand, caplog):
    made, step = by_hand(1, augment=True)
    for _ in range(2):
        step(np.arange(20))
    assert made.trainer.cache.stats() is None
    assert len(caplog.records) == 1
    assert "augmentation" in caplog.records[0].getMessage()


def test_a_prefix_that_depends_on_its_batch_is_not_served(by_hand):
    made, step = by_hand(2, frozen_batch_norm="batch")
    for _ in range(3):
        step(np.arange(20))
    assert made.trainer.cache.stats() is None


@pytest.mark.parametrize("layer", [Noise, Counting])
def test_a_block_that_varies_all_the_same_is_not_served(model, examples, blocks, layer):
    stem, *others = blocks()
    made = model("memory", network=[stem, layer(), *others], schedule=("Constant", RATE))
    made.trainer.schedule = lambda iteration: np.array([0.0, 0.0, 0.0, 0.05])
    made.train(*examples, rows=np.arange(20))
    made.train(*examples, rows=np.arange(20))
    assert made.trainer.cache._current.depth == 1  # up to the noise


def test_blocks_of_unknown_shapes_are_not_served(model, examples, blocks):
    made = model("memory", network=[Resized(), *blocks()], schedule=("Constant", RATE))
    made.trainer.schedule = lambda iteration: np.array([0.0, 0.0, 0.05, 0.05])
    made.train(*examples, rows=np.arange(20))
    assert made.trainer.cache.stats() is None


def test_shapes_that_images_make_known(examples):
    inputs = keras.Input((None, None, 1))
    open_shaped = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    layers = [open_shaped, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    given = {"images": {"shape": (8, 8, 1), "classes": 3}}
    config = {"inputs": given, "network": layers, "schedule": ("Constant", RATE), "cache": "memory"}
    made = TFModel(config)
    made.trainer.schedule = lambda iteration: np.array([0.0, 0.05])
    for _ in range(2):
        made.train(*examples, rows=np.arange(20))
    assert made.trainer.cache.hits == 20  # for images of 8×8 they are known
