import keras
import numpy as np
import pytest

from batch import TFModel
from batch.networks.copies import copied, kept
from batch.networks.remake import own_classes

L = keras.layers


def doubled(inputs):
    return 2 * inputs


class Plain(L.Layer):
    """A layer without get_config, which Keras writes if it can."""

    def __init__(self, table=1.0, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def call(self, inputs):
        return inputs * self.table


class Forgetful(Plain):
    def get_config(self):
        return L.Layer.get_config(self)


class Open(Plain):
    def get_config(self):
        return {**L.Layer.get_config(self), "table": self.table}


class Holding(L.Layer):
    """A layer of a layer that is not registered."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


class Outer(L.Layer):
    """A layer that makes another by itself, which no file could hold alone."""

    def __init__(self, size=4, **kwargs):
        super().__init__(**kwargs)
        self.inner = Plain(np.arange(size))

    def call(self, inputs):
        return self.inner(inputs)


def another_plain():
    class Plain(L.Layer):
        pass

    return Plain(name="second")


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda: L.Lambda(lambda inputs: inputs, name="bad"), "Python lambda"),
        (lambda: Plain(np.ones(3), name="bad"), "must override `get_config"),
        (lambda: Open(np.ones(3), name="bad"), "table is an array in its config"),
        (lambda: Open(object(), name="bad"), "Cannot serialize object"),
        (lambda: Forgetful(3.0, name="bad"), "Its get_config leaves out table"),
        (lambda: L.Dense(4, activation=lambda x: x, name="bad"), "activation function"),
    ],
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_a_layer_that_no_file_can_hold_is_named_before_training(layer, reason):
    for inner in (layer(), keras.Sequential([layer()], name="block"), Holding(layer())):
        with pytest.raises(ValueError, match=rf"bad \(.* can't be made again.*{reason}"):
            TFModel(
                {
                    "inputs": {"rows": {"shape": (4,), "classes": 3}},
                    "network": [inner, L.Dense(3, name="head")],
                }
            )


@pytest.mark.parametrize(
    "layer",
    [
        lambda: Plain(3.0),
        lambda: Open([1.0, 2.0, 3.0, 4.0]),
        lambda: Forgetful(),
        lambda: L.Lambda(doubled),
        lambda: keras.Sequential([Plain(3.0), L.Dense(4, activation=doubled)]),
        lambda: Holding(Plain(3.0)),
        lambda: keras.Sequential([Outer()]),
        lambda: Holding(keras.Sequential([Holding(L.Lambda(doubled))])),
    ],
)
def test_layers_of_the_users_own_need_no_registration(layer):
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    layers = [layer(), L.Dense(3)]
    fresh = copied(layers, (4,), seed=1)
    keras.Sequential([keras.Input((4,)), *layers])  # builds them
    for mine, theirs in zip(layers[0].weights, fresh.layers[0].weights):
        mine.assign(theirs)
    np.testing.assert_array_equal(fresh.layers[0](rows), layers[0](rows))
    np.testing.assert_array_equal(copied(layers, (4,)).layers[0](rows), layers[0](rows))


def test_own_classes_are_those_that_keras_does_not_know():
    block = keras.Sequential([Plain(), L.Dense(2, activation=doubled, kernel_regularizer="l2")])
    assert own_classes([block, L.ReLU()]) == {"Plain": Plain, "doubled": doubled}
    with pytest.raises(ValueError, match="second is of another class called Plain than an earlier"):
        kept([Plain(), another_plain()], (4,))


def test_what_was_made_under_another_policy_is_refused():
    class Block(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = L.Dense(3, name="dense")

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layers = [Block(), L.Dense(3)]
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match="dense can't be copied: it has the dtype policy mixed_b"):
        kept(layers, (4,))
