"""The seed of a user's own network, and what `reset` goes back to."""

import random

import keras
import numpy as np
import pytest

from batch import TFModel, as_blocks
from batch.runtime import seeded

L = keras.layers
ROWS = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
LABELS = np.arange(32) % 3
CONFIG = {"inputs": {"rows": {"shape": (6,), "classes": 3}}, "learning_rate": 0.1}


class Inner(L.Layer):
    """A layer that makes others, the second when it is built, and draws by itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = L.Dense(5)
        self.generator = keras.random.SeedGenerator()

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second = L.Dense(5, kernel_initializer=drawn)
        self.second.build((None, 5))

    def call(self, inputs, training=None):
        outputs = self.second(self.first(inputs))
        return keras.random.dropout(outputs, 0.5, seed=self.generator) if training else outputs


def drawn(shape, dtype=None):
    """An initializer that draws from NumPy and Keras without a seed."""
    return np.random.normal(size=shape) + keras.random.normal(shape, dtype=dtype)  # noqa: NPY002


FRESH = {
    "dense": lambda: [L.Dense(5)],
    "dropout": lambda: [L.Dense(5), L.Dropout(0.5)],
    "noise": lambda: [L.GaussianNoise(1.0), L.Dense(5), L.GaussianDropout(0.3)],
    "inside": lambda: [keras.Sequential([L.Dense(5, "relu"), L.AlphaDropout(0.3), L.Dense(5)])],
    "own": lambda: [Inner()],
    "recurrent": lambda: [L.Reshape((3, 2)), L.SimpleRNN(3, dropout=0.5, recurrent_dropout=0.5)],
    "images": lambda: [
        L.Reshape((3, 2, 1)),
        L.RandomFlip(),
        L.RandomTranslation(0.5, 0.5),
        L.Flatten(),
    ],
}


def built(layers):
    return keras.Sequential([keras.Input((6,)), *layers])


def listed(layers):
    return built(layers).layers


def functional(layers):
    inputs = outputs = keras.Input((6,))
    for layer in layers:
        outputs = layer(outputs)
    return as_blocks(keras.Model(inputs, outputs), [layers[-2].name])


def model_of(layers, **config):
    return TFModel({**CONFIG, "network": layers, **config})


def state(model):
    """Weights, and the states of random generators."""
    return [variable.numpy() for variable in model.network.variables]


def weights(model):
    return [weight.numpy() for weight in model.network.weights]


def equal(ours, theirs):
    return all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", FRESH)
def test_layers_without_weights_begin_by_the_seed_and_reset_begins_again(kind):
    network = [*FRESH[kind](), L.Dense(3)]
    models = [model_of([*FRESH[kind](), L.Dense(3)]), model_of(network), model_of(network, seed=1)]
    start = state(models[0])
    assert equal(start, state(models[1]))
    for mine, other in zip(start, state(models[2])):
        assert np.any(mine != other) or not mine.any()  # biases are 0
    built(network)  # the user goes on with the layers
    models[1].train(ROWS, LABELS)
    models[1].reset()
    assert equal(start, state(models[1]))


@pytest.mark.parametrize("kind", ["noise", "own"])
def test_the_same_seed_is_the_same_run(kind):
    models = [model_of([*FRESH[kind](), L.Dense(3)]) for _ in range(2)]
    models.append(model_of([*FRESH[kind](), L.Dense(3)], seed=1))
    runs = [[model.train(ROWS, LABELS) for _ in range(2)] for model in models]
    assert runs[0] == runs[1] != runs[2]
    models[0].reset()
    assert [models[0].train(ROWS, LABELS) for _ in range(2)] == runs[0]


@pytest.mark.parametrize("way", [built, functional, listed])
@pytest.mark.parametrize("key", ["network", "base"])
def test_a_network_with_weights_keeps_them_and_the_seed_is_that_of_its_dropout(way, key):
    def made(**config):
        keras.utils.set_random_seed(3)
        given = way([L.Dense(5), L.Dropout(0.5), L.Dense(3)])
        blocks = getattr(given, "layers", given)
        return TFModel({**CONFIG, key: given, **config}), [w for b in blocks for w in b.weights]

    (first, given), (same, _), (other, _) = made(), made(), made(seed=1)
    start = state(first)
    assert equal(start, state(same))
    kept = slice(None, None if key == "network" else 2)  # a base gets a new classifier
    theirs = [weight.numpy() for weight in given][kept]
    assert equal(weights(first)[kept], theirs)
    assert equal(weights(other)[kept], theirs)
    dropout = other.network.layers[-2]
    dropout = getattr(dropout, "layers", [dropout])[-1].seed_generator.state.numpy()
    assert not any(np.array_equal(dropout, value) for value in start)
    for weight in given:
        weight.assign(weight + 1)  # the user goes on with the layers
    first.train(ROWS, LABELS)
    first.reset()
    assert equal(start, state(first))


def test_old_layers_keep_their_weights_and_new_ones_between_get_them_by_the_seed():
    old = built([L.Dense(6), L.Dense(3)])
    models = [model_of([old.layers[0], L.Dense(6), old.layers[1]], seed=seed) for seed in (0, 0, 1)]
    first, same, other = map(weights, models)
    assert equal(first, same)
    assert equal(first[:2] + first[4:], [weight.numpy() for weight in old.weights])
    assert not equal(first[2:4], other[2:4])


def test_seeds_of_the_users_own_are_kept():
    def made(seed):
        own = keras.initializers.HeNormal(seed=7)
        return model_of(
            [L.Dense(5, kernel_initializer=own), L.Dropout(0.5, seed=5), L.Dense(3)], seed=seed
        )

    expected = keras.initializers.HeNormal(seed=7)((6, 5))
    for seed in (0, 1):
        model = made(seed)
        np.testing.assert_array_equal(weights(model)[0], expected)
        state = keras.random.SeedGenerator(5).state
        assert (
            model.network.layers[1].seed_generator.state.numpy().tolist() == state.numpy().tolist()
        )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_in_either_precision_starts_with_the_same_weights(precision):
    model = model_of([L.Dense(5), L.Dropout(0.5), L.Dense(3)], precision=precision)
    assert equal(weights(model), weights(model_of([L.Dense(5), L.Dropout(0.5), L.Dense(3)])))
    model.train(ROWS, LABELS)
    start = weights(model_of([L.Dense(5), L.Dropout(0.5), L.Dense(3)]))
    model.reset()
    assert equal(weights(model), start)


def test_the_users_own_draws_go_on_as_if_no_network_had_been_made():
    def draws():
        return [random.random(), np.random.random(), float(keras.random.uniform(()))]  # noqa: NPY002

    layers = [L.Dense(5, kernel_initializer=drawn), L.Dropout(0.5), L.Dense(3)]
    keras.utils.set_random_seed(1)
    expected = [draws(), draws()]
    keras.utils.set_random_seed(1)
    given = [draws()]
    model_of(layers)
    assert [*given, draws()] == expected
    with pytest.raises(ZeroDivisionError), seeded(0):
        1 / 0  # noqa: B018


def test_a_loaded_model_of_ones_own_is_reset_to_the_first_weights_if_the_config_has_them(tmp_path):
    model = model_of([L.Dense(5), L.Dropout(0.5), L.Dense(3)])
    start, losses = weights(model), [model.train(ROWS, LABELS) for _ in range(2)]
    model.save(tmp_path / "model")
    again = [model.train(ROWS, LABELS) for _ in range(2)]
    model.load(tmp_path / "model")
    assert [model.train(ROWS, LABELS) for _ in range(2)] == again
    model.reset()
    assert equal(weights(model), start)
    assert [model.train(ROWS, LABELS) for _ in range(2)] == losses
