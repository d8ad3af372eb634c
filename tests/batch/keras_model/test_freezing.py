"""Freezing under fit: by a schedule, for good, and what frozen blocks compute from the cache."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import AutoFreeze, BlockModel, FreezeOut, TFModel, as_blocks, with_ids
from batch.data.examples import Examples
from research.benchmarks.graphs import executed_operations

FREEZING = {"iterations": 24, "learning_rate": 0.02, "t_0": 0.3, "degree": 1, "scaled": False}
CONVOLUTIONS = [1, 1, 1, 0]


def sgd(rate=0.02):
    return keras.optimizers.SGD(rate, momentum=0.9)


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture
def model(network):
    """A function that makes and compiles a model."""

    def make(**own):
        made = BlockModel(network())
        made.compile(own.pop("optimizer", sgd()), cross_entropy(), **own)
        return made

    return make


class Rows(keras.callbacks.Callback):
    """The rows of each batch, and the loss of each step alone."""

    def on_train_begin(self, logs=None):
        self.rows, self.losses, step = [], [], self.model._train_next

        def noted(iterator):
            batch = next(iterator)
            self.rows.append(np.asarray(batch[0]))
            logs = step(iter([batch]))
            self.losses.append(self.model._training.trainer.loss)
            return logs

        self.model.train_function = noted


@pytest.mark.parametrize("cache", ["off", "memory"])
def test_freezeout_gives_the_losses_of_a_tfmodel(model, network, photos, cache, bits_in_any_place):
    ours = model(schedule=lambda blocks: FreezeOut(blocks, **FREEZING), cache=cache)
    seen = Rows()
    ours.fit(*photos, batch_size=10, epochs=6, verbose=0, callbacks=[seen])
    inputs = {"images": {"shape": photos[0].shape[1:]}, "labels": {"classes": 3}}
    theirs = TFModel(
        {
            **{"inputs": inputs, "network": network().layers, "loss": cross_entropy()},
            **{"optimizer": ("SGD", {"momentum": 0.9}), "schedule": ("FreezeOut", FREEZING)},
            "cache": cache,
        }
    )
    assert seen.losses == [theirs.train(*photos, rows=rows) for rows in seen.rows]
    for one, other in zip(ours.network.get_weights(), theirs.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    if cache == "memory":
        assert ours._training.trainer.cache.hits > 0


@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_a_step_has_the_kernel_gradients_of_the_active_blocks(model, photos, frozen):
    def schedule(blocks):
        return lambda iteration: np.where(np.arange(blocks) < frozen, 0, 0.01)

    made = model(schedule=schedule)
    operations = executed_operations(lambda: made.train_on_batch(*photos))
    assert operations["Conv2DBackpropFilter"] == sum(CONVOLUTIONS[frozen:])
    assert made.frozen == frozen
    assert made.rates.tolist() == (
        [0.0] * frozen + [0.01] * (4 - frozen) if frozen < 3 else [0.0] * 4
    )


def test_logs_hold_what_is_frozen(model, photos, recorded):
    seen, made = recorded(), model(schedule=("FreezeOut", FREEZING))
    history = made.fit(*photos, batch_size=10, epochs=5, verbose=0, callbacks=[seen]).history
    assert seen["frozen"] == sorted(seen["frozen"])
    assert history["frozen"] == seen["frozen"][5::6]
    assert history["frozen"][-1] == 3


SPECS = {
    "a schedule": lambda: FreezeOut(3, **FREEZING),
    "a class": lambda: lambda blocks: FreezeOut(blocks, **FREEZING),
    "a name": lambda: ("FreezeOut", FREEZING),
    "a function": lambda: lambda blocks: lambda iteration: [0.0] * blocks,
    "its own function": lambda: lambda iteration: [0.0, 0.01, 0.01],
    "a rule": lambda: AutoFreeze(3, 12, 0.02, every=2),
}


@pytest.mark.parametrize("spec", SPECS)
def test_schedules(model, photos, spec):
    made = model(schedule=SPECS[spec]())
    made.fit(*photos, batch_size=10, epochs=2, verbose=0)
    assert made.rates.shape == (4,)


def test_what_is_frozen_for_good_does_not_move(model, photos):
    made = model(freeze=["stem", "normalized"])
    before = [layer.get_weights() for layer in made.network.layers]
    made.fit(*photos, batch_size=10, epochs=2, verbose=0)
    for layer, weights in zip(made.network.layers, before):
        same = all(np.array_equal(*pair) for pair in zip(layer.get_weights(), weights))
        assert same == (layer.name in ("stem", "normalized"))
    assert made.frozen == 2


def test_layers_that_were_not_trainable_stay_so(network, photos):
    layers = network()
    layers.layers[0].trainable = False
    made = BlockModel(layers)
    for patterns in (["normalized"], ["penalty"], []):
        made.compile(sgd(), cross_entropy(), freeze=patterns)
        frozen = [layer.name for layer in made.network.layers if not layer.trainable]
        assert frozen == ["stem", *patterns]


def test_compiling_again_goes_on_with_the_same_optimizer(model, photos):
    whole, optimizer = model(), sgd()
    parts = model(optimizer=optimizer)
    fit = {"batch_size": 10, "verbose": 0, "shuffle": False}
    expected = whole.fit(*photos, epochs=4, **fit).history["loss"]
    found = parts.fit(*photos, epochs=2, **fit).history["loss"]
    parts.compile(optimizer, cross_entropy())
    assert found + parts.fit(*photos, epochs=2, **fit).history["loss"] == expected


def slots(model):
    optimizers = model._training.trainer.optimizers
    return [[value.numpy() for value in one.variables] for one in optimizers]


def test_blocks_that_freeze_between_two_fits_leave_the_rest_as_it_was(model, photos):
    optimizer = sgd()
    made = model(optimizer=optimizer)
    made.fit(*photos, batch_size=10, epochs=1, verbose=0)
    before = slots(made)
    made.compile(optimizer, cross_entropy(), freeze=["stem"])
    made._begun(Examples(*map(tf.constant, photos), np.arange(60)))
    after = slots(made)
    for block in (1, 2, 3):
        assert all(np.array_equal(*pair) for pair in zip(before[block], after[block], strict=True))
    assert made._training.trainer.iteration == 6


def test_a_functional_model_is_cut(photos):
    inputs = keras.Input(photos[0].shape[1:])
    features = keras.layers.Conv2D(4, 3, name="one")(inputs)
    features = keras.layers.Conv2D(4, 3, name="two")(features + keras.layers.ReLU()(features))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D(name="pool")(features))
    base = keras.Model(inputs, outputs)
    made = BlockModel(base, cut=["one", "pool"])
    assert [block.name for block in made.network.layers[:-1]] == ["one", "pool"]
    made.compile(sgd(), cross_entropy(), freeze=["one"], cache="memory")
    before = made.predict(photos[0], verbose=0)
    np.testing.assert_allclose(before, base.predict(photos[0], verbose=0), rtol=1e-5, atol=1e-6)
    made.fit(*photos, epochs=3, verbose=0)
    assert made._training.trainer.cache.hits > 0
    np.testing.assert_array_equal(made.predict(photos[0], verbose=0), made(photos[0]))
    assert as_blocks(base, ["one", "pool"])[0].get_weights()[0].shape == (3, 3, 2, 4)


def dataset(photos, identified):
    made = tf.data.Dataset.from_tensor_slices(photos)
    made = with_ids(made) if identified else made
    return made.shuffle(60, seed=0).batch(10)


def test_a_dataset_with_ids_is_cached_and_one_without_is_not(model, photos):
    losses = {}
    for identified in (True, False):
        made = model(freeze=["stem"], cache="memory")
        data = dataset(photos, identified)
        losses[identified] = made.fit(data, epochs=3, verbose=0).history["loss"]
        assert made._training.trainer.cache.hits == (120 if identified else 0)
        np.testing.assert_allclose(
            made.evaluate(data, verbose=0), made.evaluate(*photos, verbose=0), rtol=1e-5
        )
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-5)


def test_ids_need_a_dataset(photos):
    with pytest.raises(TypeError, match=r"dataset must be a tf\.data\.Dataset"):
        with_ids(photos)


@pytest.mark.parametrize("freeze", [["stem", "normalized"], []])
def test_validation_reads_what_frozen_blocks_compute(model, photos, freeze, bits_in_any_place):
    histories, caches = [], []
    for cache in ("off", "memory"):
        made = model(freeze=freeze, cache=cache, metrics=["accuracy"])
        held_out = tuple(array[:30] for array in photos)
        histories.append(
            made.fit(*photos, 10, 4, 0, validation_data=held_out, shuffle=False).history
        )
        caches.append(made._training.validation(*made._training._validation._arrays).cache)
        found = made.evaluate(*held_out, verbose=0)
        expected = [histories[-1][f"val_{name}"][-1] for name in ("loss", "accuracy")]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert histories[0] == histories[1]
    assert caches[0].hits == 0
    assert caches[1].hits == (90 if freeze else 0)


def test_validation_follows_a_schedule(model, photos):
    made = model(schedule=("FreezeOut", FREEZING), cache="memory")
    losses = made.fit(*photos, 10, 6, 0, validation_data=photos, shuffle=False).history["val_loss"]
    np.testing.assert_allclose(losses[-1], made.evaluate(*photos, verbose=0), rtol=1e-5)
    assert losses[-1] == losses[-2] != losses[0]  # all blocks are frozen in the end


class Evaluates(keras.callbacks.Callback):
    """Evaluates other arrays after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        images, labels = self.given
        self.found = self.model.evaluate(images[:7], labels[:7], verbose=0)


def test_a_callback_may_evaluate_something_else(model, photos):
    made, callback = model(), Evaluates()
    callback.given = photos
    made.fit(*photos, 10, 2, 0, validation_split=0.5, callbacks=[callback])
    found = made.evaluate(photos[0][:7], photos[1][:7], verbose=0)
    np.testing.assert_allclose(callback.found, found, rtol=1e-6)
