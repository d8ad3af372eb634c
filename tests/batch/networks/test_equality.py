import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel, as_blocks
from batch.networks.copies import copied
from batch.networks.equality import difference, outputs, refuse_unequal

L = keras.layers
CONFIG = {"inputs": {"rows": {"shape": (4,), "classes": 3}}}


class Shifted(L.Layer):
    """A layer with a state that is in no config and no weight."""

    shift = 0.0

    def call(self, inputs):
        return inputs + self.shift


class Drawing(L.Layer):
    """A layer that draws from TensorFlow's own generator."""

    def call(self, inputs):
        return inputs + tf.random.normal(tf.shape(inputs))


class Counting(L.Layer):
    """A layer that counts its calls, in inference mode too."""

    def build(self, input_shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs + self.calls


def shifted():
    layer = Shifted(name="odd")
    layer.shift = 1.0
    return layer


@pytest.mark.parametrize("make", [shifted, lambda: Drawing(name="odd")])
@pytest.mark.parametrize("key", ["network", "base"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_copy_that_computes_something_else_is_refused_by_name(make, key, inside):
    layer = keras.Sequential([keras.Input((4,)), make()], name="odd") if inside else make()
    stock = keras.Sequential([keras.Input((4,)), layer, L.Dense(3)])
    for given in (stock, stock.layers):
        with pytest.raises(ValueError, match="The copy of odd computes something else than odd"):
            TFModel({**CONFIG, key: given})


def test_the_comparison_leaves_no_trace():
    stock = keras.Sequential([keras.Input((4,)), Counting(), L.Dropout(0.5), L.Dense(3)])
    stock(np.ones((1, 4)))
    before = [variable.numpy() for variable in stock.variables]
    copy = copied(stock.layers, (4,))
    for variable, value in zip(stock.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    np.testing.assert_array_equal(copy.weights[0].numpy(), before[0])


def test_words_out_of_range_are_left_out_and_what_cannot_be_computed_is_not_compared():
    words = [L.Embedding(3, 2), L.Flatten(), L.Dense(3)]
    stock = keras.Sequential([keras.Input((4,)), *words])
    assert len(copied(stock.layers, (4,)).layers) == 3
    twins = copied(stock.layers, (4,)).layers
    twins[0].embeddings.assign(twins[0].embeddings + 1)
    with pytest.raises(ValueError, match="The copy of embedding"):
        refuse_unequal(stock.layers, twins, (4,))


def test_a_tolerance_is_a_share_of_the_norm():
    dense, other = L.Dense(3), L.Dense(3)
    for layer in (dense, other):
        layer.build((None, 4))
    other.kernel.assign(1.05 * dense.kernel)
    refuse_unequal([dense], [other], (4,), 0.06)
    with pytest.raises(ValueError, match=r"off by 0\.05 of its outputs' norm"):
        refuse_unequal([dense], [other], (4,), 0.04)


def test_differences():
    ones = np.ones((2, 2), np.float32)
    assert difference(ones, ones) == 0
    assert difference(ones * np.nan, ones * np.nan) == 0
    assert difference(ones * 1.5, ones) == pytest.approx(0.5)
    assert difference(ones * 1.5e-9, ones * 1e-9) == pytest.approx(0.5)
    assert difference(ones, ones * 0) == np.inf
    for wrong in (np.ones(2, np.float32), ones * np.nan, ones * np.inf):
        assert difference(wrong, ones) == np.inf


def test_random_layers_draw_the_same_while_they_are_compared():
    noise = L.GaussianNoise(1.0)
    given = [outputs(noise, np.ones((2, 3))) for _ in range(2)]
    np.testing.assert_array_equal(*given)


class Added(keras.Model):
    """A functional model with a call of its own."""

    def call(self, inputs, training=None):
        return super().call(inputs, training=training) + 1.0


def test_blocks_that_compute_something_else_than_the_model_are_refused():
    inputs = keras.Input((4,))
    hidden = L.Dense(4, name="hidden")(inputs)
    model = Added(inputs, L.Dense(3)(hidden), name="added")
    with pytest.raises(ValueError, match="The blocks of added compute something else than added"):
        as_blocks(model, ["hidden"])
