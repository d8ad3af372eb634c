import gc
import logging
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel
from batch.data.examples import Examples
from batch.feature_cache.prefix_cache import PrefixCache
from batch.feature_cache.stores import STORES
from batch.training.optimizers import FusedSGD
from batch.training.preprocessing import Preprocessing
from batch.training.trainer import Trainer
from research.benchmarks.graphs import executed_operations


def values(model):
    slots = [slot for optimizer in model.trainer.optimizers for slot in optimizer.variables]
    return [np.asarray(value) for value in (*model.network.get_weights(), *slots)]


@pytest.mark.usefixtures("bits_in_any_place")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cache", STORES)
def test_losses_and_weights_are_those_without_a_cache(model, examples, cache, precision, draws):
    plain, kept = (model(kind, precision=precision) for kind in ("off", cache))
    for rows in draws(15):  # three stages, all frozen, and all blocks learning again
        assert kept.train(*examples, rows=rows) == plain.train(*examples, rows=rows)
    assert all(np.array_equal(*pair) for pair in zip(values(plain), values(kept), strict=True))
    assert 0 < kept.trainer.cache.hits < kept.trainer.cache.requests
    assert plain.trainer.cache.stats() is None


@pytest.mark.usefixtures("bits_in_any_place")
def test_a_resumed_run_is_that_which_went_on(model, examples, tmp_path, draws):
    batches = draws(10)
    whole, first = model("memory"), model("memory")
    losses = [whole.train(*examples, rows=rows) for rows in batches]
    for rows in batches[:6]:
        first.train(*examples, rows=rows)
    first.save(tmp_path / "model")
    second = TFModel({"load": {"path": tmp_path / "model"}})
    assert [second.train(*examples, rows=rows) for rows in batches[6:]] == losses[6:]
    assert second.trainer.cache.requests


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
    monkeypatch.setattr("batch.machine.FORWARD_SPEED", 1e10)  # else computing is as cheap
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
    assert made.trainer.cache._previous is None  # all of it was carried
    step(np.arange(20, 60))
    assert len(begun) == 1  # twenty that the first stage had not seen


def test_nothing_is_said_where_no_cache_was_asked_for(by_hand, caplog):
    _, step = by_hand(1, cache="off", augment=True)
    caplog.set_level(logging.DEBUG)
    step(np.arange(20))
    assert not caplog.records


def test_a_model_that_is_dropped_takes_its_features_along(model, examples, draws):
    made = model("memory")
    for rows in draws(6):
        made.train(*examples, rows=rows)
    made.trainer.settle()
    store = weakref.ref(made.trainer.cache._current.store)
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
    assert [record.getMessage() for record in caplog.records] == [
        "No cache of what frozen blocks compute: Cannot allocate memory."
    ]


def test_a_store_that_was_asked_for_and_has_no_room_is_told(model, examples, caplog):
    made = model("mapped", frozen=1)
    made.train(*examples, indices=np.arange(60))  # of how many?
    assert "there is no room for it" in caplog.records[0].getMessage()


def test_features_can_be_forgotten(by_hand):
    made, step = by_hand(1)
    plain, plainly = by_hand(1, cache="off")
    step(np.arange(20))
    plainly(np.arange(20))
    for each in (made, plain):
        kernel = each.network.layers[0].weights[0]
        kernel.assign(2 * kernel)
    made.trainer.cache.clear()
    assert step(np.arange(20)) == plainly(np.arange(20))


def test_statistics(by_hand):
    made, step = by_hand(2)
    for rows in (np.arange(20), np.arange(10, 30), np.arange(20)):
        step(rows)
    stats = made.trainer.cache.stats()
    assert stats["asked"] == 60
    assert stats["hits"] == 10 + 20
    assert stats["bytes"] == 30 * 4 * 4 * 8 * 4
    assert stats["seconds_saved"] > 0


def test_short_chunks_are_filled_up(blocks, examples):
    network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    trainer = Trainer(
        network,
        FusedSGD(),
        lambda iteration: np.array([0.0, 0.05, 0.05]),
        loss=lambda *_: tf.zeros(1),
        cache="memory",
    )
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
