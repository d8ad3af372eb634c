import gc
import logging
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel
from batch.data.examples import Examples
from batch.feature_cache import prefix_cache
from batch.feature_cache.prefix_cache import PrefixCache
from batch.feature_cache.stores import STORES
from batch.training.optimizers import FusedSGD
from batch.training.preprocessing import Preprocessing
from batch.training.trainer import Trainer
from research.benchmarks.graphs import executed_operations

RATE = {"learning_rate": 0.05}
FREEZING = {"iterations": 12, "learning_rate": 0.05, "t_0": 0.2, "degree": 1, "scaled": False}


class ByHand:
    """Leading frozen blocks as set by hand."""

    def __init__(self, frozen=0):
        self.frozen = frozen

    def __call__(self, iteration):
        return np.where(np.arange(3) < self.frozen, 0.0, 0.05)


@pytest.fixture(autouse=True)
def unsaid():
    prefix_cache._say.cache_clear()
    theirs = tf.get_logger()
    level = theirs.level
    theirs.setLevel(logging.ERROR)  # it warns that many models are traced
    yield
    theirs.setLevel(level)


@pytest.fixture
def model(blocks):
    def make(cache, **config):
        given = {
            "inputs": {"images": {"shape": (8, 8, 1), "classes": 3}},
            "network": blocks(),
            "optimizer": ("SGD", {"momentum": 0.9}),
            "schedule": ("FreezeOut", {**FREEZING, "finetune_rate": 0.01}),
            "cache": cache,
        }
        return TFModel({**given, **config})

    return make


@pytest.fixture
def by_hand(model, examples):
    """A model with some blocks frozen by hand, and a function that makes one of its steps."""

    def make(frozen, cache="memory", **config):
        made = model(cache, schedule=ByHand(frozen), **config)
        return made, lambda rows: made.train(*examples, rows=rows)

    return make


def draws(count, size=20, examples=60):
    rng = np.random.default_rng(1)
    return [rng.permutation(examples)[:size] for _ in range(count)]


def values(model):
    slots = [slot for one in model.trainer.optimizers for slot in one.variables]
    return [np.asarray(value) for value in (*model.network.get_weights(), *slots)]


@pytest.mark.usefixtures("bits_in_any_place")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cache", STORES)
def test_losses_and_weights_are_those_without_a_cache(model, examples, cache, precision):
    plain, kept = (model(kind, precision=precision) for kind in ("off", cache))
    for rows in draws(15):  # three stages, all frozen, and all blocks learning again
        assert kept.train(*examples, rows=rows) == plain.train(*examples, rows=rows)
    assert all(np.array_equal(*pair) for pair in zip(values(plain), values(kept), strict=True))
    assert 0 < kept.trainer.cache.hits < kept.trainer.cache.asked
    assert plain.trainer.cache.told() is None


@pytest.mark.usefixtures("bits_in_any_place")
def test_a_resumed_run_is_that_which_went_on(model, examples, tmp_path):
    rows = draws(10)
    whole, first = model("memory"), model("memory")
    losses = [whole.train(*examples, rows=one) for one in rows]
    for one in rows[:6]:
        first.train(*examples, rows=one)
    first.save(tmp_path / "model")
    second = TFModel({"load": {"path": tmp_path / "model"}})
    assert [second.train(*examples, rows=one) for one in rows[6:]] == losses[6:]
    assert second.trainer.cache.asked


@pytest.mark.parametrize(("frozen", "convolutions"), [(1, 7), (2, 3)])
def test_a_step_from_the_cache_leaves_the_prefix_out(by_hand, frozen, convolutions):
    made, step = by_hand(frozen)
    features = tf.zeros((60, *made.network.layers[frozen - 1].output.shape[1:]))
    active = (False,) * frozen + (True,) * (4 - frozen)
    compiled = made.trainer.steps.compiled(features, active, start=frozen)
    arguments = features, tf.zeros(60, tf.int64), *[tf.range(20, dtype=tf.int64)] * 2
    rates = tf.constant(active, tf.bool)
    operations = executed_operations(
        lambda: compiled(*arguments, tf.cast(rates, tf.float32), tf.constant(0))
    )
    assert operations["Conv2D"] == convolutions
    step(np.arange(20))
    assert list(made.trainer.steps._compiled) == [(tf.float32, active, False, frozen)]


def test_a_prefix_is_carried_forward(by_hand, monkeypatch):
    monkeypatch.setattr("batch.feature_cache.placement.SPEED", 1e10)  # else computing is as cheap
    made, step = by_hand(1)
    step(np.arange(40))
    made.trainer.schedule.frozen = 2
    begun = []
    scaled = made.trainer.cache._scaled
    monkeypatch.setattr(
        made.trainer.cache, "_scaled", lambda *args: begun.append(args) or scaled(*args)
    )
    step(np.arange(40))
    assert not begun  # no image was looked at again
    assert made.trainer.cache._before is None  # all of it was carried
    step(np.arange(20, 60))
    assert len(begun) == 1  # twenty that the first stage had not seen


@pytest.mark.usefixtures("bits_in_any_place")
def test_numbered_examples_are_known_again_in_other_batches(model, examples):
    images, labels = examples
    plain, kept = (model(kind, schedule=ByHand(2)) for kind in ("off", "memory"))
    for rows in draws(6):
        batch = images[rows], labels[rows]
        numbers = 1000 + rows
        assert kept.train(*batch, indices=numbers) == plain.train(*batch)
    assert kept.trainer.cache.hits > 40


def test_names_can_be_numbers(model, examples):
    kept = model("memory", schedule=ByHand(1))
    names = np.array([f"image {i}" for i in range(60)])
    for _ in range(2):
        kept.train(*examples, indices=names)
    assert kept.trainer.cache.hits == 60


def test_numbered_images_that_change_are_not_served(model, examples, caplog):
    images, labels = examples
    plain, kept = (model(kind, schedule=ByHand(1)) for kind in ("off", "memory"))
    for shift in range(3):
        moved = np.roll(images, shift, axis=1)
        assert kept.train(moved, labels, indices=np.arange(60)) == plain.train(moved, labels)
    assert kept.trainer.cache.hits == 0
    assert [one.getMessage() for one in caplog.records] == [
        "No cache of what frozen blocks compute: the images of an example differ from one step to "
        "the next."
    ]


def test_augmented_images_are_not_served(by_hand, caplog):
    made, step = by_hand(1, augment=True)
    for _ in range(2):
        step(np.arange(20))
    assert made.trainer.cache.told() is None
    assert len(caplog.records) == 1
    assert "augmentation" in caplog.records[0].getMessage()


def test_batches_that_nothing_tells_apart_are_not_served(model, examples, caplog):
    images, labels = examples
    made = model("memory", schedule=ByHand(1))
    for rows in draws(3):
        made.train(images[rows], labels[rows])
    assert made.trainer.cache.told() is None
    assert len(caplog.records) == 1
    assert "give rows of an array, or indices" in caplog.records[0].getMessage()


def test_the_same_images_again_are_told_apart_by_their_rows(model, examples):
    made = model("memory", schedule=ByHand(1))
    for _ in range(3):
        made.train(*examples)
    assert made.trainer.cache.hits == 60  # filled in the second step


def test_nothing_is_said_where_no_cache_was_asked_for(by_hand, caplog):
    _, step = by_hand(1, cache="off", augment=True)
    caplog.set_level(logging.DEBUG)
    step(np.arange(20))
    assert not caplog.records


def test_other_images_are_other_examples(model, examples):
    images, labels = examples
    plain, kept = (model(kind, schedule=ByHand(1)) for kind in ("off", "memory"))
    other = 255 - images
    for array in (images, images, other, other, images):
        rows = np.arange(20)
        loss = plain.train(array, labels, rows=rows)
        assert kept.train(array, labels, rows=rows) == loss


def test_a_prefix_that_depends_on_its_batch_is_not_served(by_hand):
    made, step = by_hand(2, frozen_batch_norm="batch")
    for _ in range(3):
        step(np.arange(20))
    assert made.trainer.cache.told() is None


def test_where_there_are_more_examples_than_room_nothing_is_kept(
    model, examples, monkeypatch, caplog
):
    images, labels = examples
    plain, kept = (model(kind, schedule=ByHand(1)) for kind in ("off", "memory"))
    monkeypatch.setattr("batch.feature_cache.placement.unwritten", lambda: 0)
    monkeypatch.setattr("batch.feature_cache.placement.free_memory", lambda: 6000)  # 11 rows
    for rows in (np.arange(10), np.arange(10), np.arange(30, 40), np.arange(10)):
        batch = images[rows], labels[rows]
        assert kept.train(*batch, indices=rows) == plain.train(*batch)
    assert kept.trainer.cache.asked == 20
    assert "more examples than there is room for" in caplog.records[0].getMessage()


def test_batches_of_another_size_are_computed(by_hand):
    made, step = by_hand(1)
    for size in (20, 20, 10, 20):
        step(np.arange(size))
    assert made.trainer.cache.asked == 60


def test_features_of_batches_of_different_sizes_are_not_mixed(by_hand):
    made, step = by_hand(1)
    cache = made.trainer.cache
    for size in (2, 20, 20):  # the larger batch begins anew
        step(np.arange(size))
    assert (cache.asked, cache.hits) == (42, 20)
    made.trainer.schedule.frozen = 2
    step(np.arange(10))  # too small to begin the next stage with
    assert cache._now.depth == 1
    step(np.arange(20))
    assert (cache._now.depth, cache.asked) == (2, 62)


def test_arrays_in_turn_are_not_kept(model, examples):
    images, labels = examples
    made = model("memory", schedule=ByHand(1))
    for array in (images, 255 - images, images, 255 - images):
        made.train(array, labels, rows=np.arange(20))
    assert made.trainer.cache.asked == 20  # of the first, before there was another
    assert made.trainer.cache._now is None


def test_a_model_that_is_dropped_takes_its_features_along(model, examples):
    made = model("memory")
    for rows in draws(6):
        made.train(*examples, rows=rows)
    made.trainer.settle()
    store = weakref.ref(made.trainer.cache._now.store)
    gc.disable()
    try:
        del made
        assert store() is None
    finally:
        gc.enable()


def test_memory_that_is_not_given_is_done_without(by_hand, monkeypatch, caplog):
    def refuse(*_):
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(STORES["memory"], "_reserved", refuse)
    _, step = by_hand(1)
    _, plainly = by_hand(1, cache="off")
    assert [step(np.arange(20)), step(np.arange(20))] == [plainly(np.arange(20)) for _ in range(2)]
    assert [one.getMessage() for one in caplog.records] == [
        "No cache of what frozen blocks compute: Cannot allocate memory."
    ]


def test_a_store_that_was_asked_for_and_has_no_room_is_told(model, examples, caplog):
    made = model("mapped", schedule=ByHand(1))
    made.train(*examples, indices=np.arange(60))  # of how many?
    assert "there is no room for it" in caplog.records[0].getMessage()


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


@pytest.mark.parametrize("layer", [Noise, Counting])
def test_a_block_that_varies_all_the_same_is_not_served(model, examples, blocks, layer):
    stem, *others = blocks()
    made = model("memory", network=[stem, layer(), *others], schedule=("Constant", RATE))
    made.trainer.schedule = lambda iteration: np.array([0.0, 0.0, 0.0, 0.05])
    made.train(*examples, rows=np.arange(20))
    made.train(*examples, rows=np.arange(20))
    assert made.trainer.cache._now.depth == 1  # up to the noise


class Resized(keras.layers.Layer):
    """A layer whose outputs have a shape that only its inputs' values tell."""

    def call(self, inputs):
        side = tf.cast(tf.minimum(tf.reduce_max(inputs), 0.0), tf.int32) + 8
        return tf.image.resize(inputs, [side, side])

    def compute_output_shape(self, shape):
        return shape


def test_blocks_of_unknown_shapes_are_not_served(model, examples, blocks):
    made = model("memory", network=[Resized(), *blocks()], schedule=("Constant", RATE))
    made.trainer.schedule = lambda iteration: np.array([0.0, 0.0, 0.05, 0.05])
    made.train(*examples, rows=np.arange(20))
    assert made.trainer.cache.told() is None


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


def test_features_can_be_forgotten(by_hand):
    made, step = by_hand(1)
    plain, plainly = by_hand(1, cache="off")
    step(np.arange(20))
    plainly(np.arange(20))
    for one in (made, plain):
        kernel = one.network.layers[0].weights[0]
        kernel.assign(2 * kernel)
    made.trainer.cache.clear()
    assert step(np.arange(20)) == plainly(np.arange(20))


def test_statistics(by_hand):
    made, step = by_hand(2)
    for rows in (np.arange(20), np.arange(10, 30), np.arange(20)):
        step(rows)
    told = made.trainer.cache.told()
    assert told["asked"] == 60
    assert told["hits"] == 10 + 20
    assert told["bytes"] == 30 * 4 * 4 * 8 * 4
    assert told["seconds_saved"] > 0


def test_short_chunks_are_filled_up(blocks, examples):
    network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    trainer = Trainer(network, FusedSGD(), ByHand(1), loss=lambda *_: tf.zeros(1), cache="memory")
    images = tf.constant(examples[0])
    for rows in ([7, 3, 9], [5, 3, 7]):
        batch = Examples(images, None, np.array(rows))
        start, features, places = trainer.cache.features(batch, 1, 10)
    expected = trainer.steps._blocks[0].infer(trainer.cache._scaled(images, tf.constant([5, 5, 5])))
    assert start == 1
    assert np.array_equal(tf.gather(features, places)[0], expected[0])
    assert trainer.cache.hits == 2


@pytest.mark.parametrize("storage", ["on", True, None, -1])
def test_bad_storage_is_refused(storage):
    message = "cache must be auto, memory, mapped, compressed, off, or bytes of memory"
    with pytest.raises(ValueError, match=message):
        PrefixCache([], Preprocessing(), storage)
