import copy
import functools
import gc
import logging
import weakref

import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel
from batch.feature_cache.prefix import Prefix
from batch.feature_cache.prefix_cache import PrefixCache
from batch.feature_cache.stores import STORES
from batch.networks.blocks import ConvolutionBlock
from batch.training.preprocessing import Preprocessing
from research.benchmarks.graphs import executed_operations


def values(model):
    slots = [slot for optimizer in model.trainer.optimizers for slot in optimizer.variables]
    return [np.asarray(value) for value in (*model.network.get_weights(), *slots)]


@pytest.mark.usefixtures("bits_in_any_place")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_losses_and_weights_are_those_without_a_cache(model, blocks, examples, precision, draws):
    config = {"precision": precision, "network": blocks()}
    plain, *kept = (model(kind, **config) for kind in ("off", *STORES))
    for rows in draws(15):  # three stages, all frozen, and all blocks learning again
        loss = plain.train(*examples, rows=rows)
        assert [each.train(*examples, rows=rows) for each in kept] == [loss] * len(STORES)
    for each in kept:
        assert all(np.array_equal(*pair) for pair in zip(values(plain), values(each), strict=True))
        assert 0 < each.trainer.cache.hits < each.trainer.cache.requests
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


@pytest.mark.parametrize(("frozen", "convolutions"), [(1, 2), (2, 1)])
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


@pytest.fixture
def computed(monkeypatch):
    """For each batch that caches compute: the first block, the last one, and its rows."""
    calls, compute = [], Prefix.compute

    def recorded(self, start, depth, features, rows, crops):
        calls.append((start, depth, rows.tolist()))
        return compute(self, start, depth, features, rows, crops)

    monkeypatch.setattr(Prefix, "compute", recorded)
    return calls


def test_a_prefix_is_carried_forward(by_hand, computed, monkeypatch):
    monkeypatch.setattr("batch.machine.FORWARD_SPEED", 1e10)  # else computing is as cheap
    made, step = by_hand(1)
    step(np.arange(30))
    made.trainer.schedule.frozen = 2
    step(np.arange(29, -1, -1))
    assert made.trainer.cache._previous is None  # all of it was carried
    step(np.arange(20, 50))  # some that the first stage had not seen
    last = list(range(20, 50))
    assert computed == [(0, 1, [*range(30)]), (1, 2, [*range(29, -1, -1)]), (0, 2, last)]


def test_a_batch_that_lacks_features_is_computed_whole_in_its_own_order(by_hand, computed):
    made, step = by_hand(1)
    batches = [[7, 3, 9, 3], [5, 3, 7, 9], [9, 7, 5, 3]]
    for rows in batches:
        step(np.array(rows))
    assert computed == [(0, 1, rows) for rows in batches[:2]]
    stats = made.trainer.cache.stats()
    assert (stats["asked"], stats["hits"], stats["computed"]) == (12, 7, 8)
    assert stats["bytes"] == 4 * 4 * 4 * 4 * 4  # of four examples


def test_every_block_is_traced_once_and_nothing_in_vain(model, examples, monkeypatch):
    monkeypatch.setattr("batch.machine.FORWARD_SPEED", 1e5)  # so that it pays
    traced, original = [], ConvolutionBlock.call

    @functools.wraps(original)
    def call(self, *args, **kwargs):
        traced.append(self.name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ConvolutionBlock, "call", call)
    made = model("auto", frozen=1)
    traced.clear()
    for frozen in (1, 2):
        made.trainer.schedule.frozen = frozen
        for size in (20, 13, 20, 20):  # among them smaller ones, which are not read
            made.train(*examples, rows=np.arange(60)[-size:])
    made.trainer.settle()
    stem, first, second = (block.name for block in made.network.layers[:3])
    assert sorted(traced) == sorted([stem, first, second, first])  # the first trained, and froze
    assert list(made.trainer.cache._prefix._compiled) == [(0, 1, tf.uint8), (1, 2, tf.float32)]
    assert made.trainer.cache.hits == 80


def test_the_memory_that_auto_takes_is_asked_for_once(model, monkeypatch, tmp_path):
    free = iter([2000, 3000, 4000, 5000])
    monkeypatch.setattr("batch.feature_cache.prefix_cache.memory_for_features", lambda: next(free))
    made = model("auto")
    assert made.trainer.cache.storage == 2000
    made.reset()
    assert made.trainer.cache.storage == 2000
    made.save(tmp_path / "model")
    load = {"load": {"path": tmp_path / "model"}}
    for loaded in (TFModel(load), TFModel({**load, "cache": "auto"}), copy.copy(made)):
        assert loaded.trainer.cache.storage == 2000
    assert TFModel({**load, "cache": 7}).trainer.cache.storage == 7
    assert TFModel({**load, "cache": "mapped"}).trainer.cache.storage == "mapped"


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


@pytest.mark.parametrize("storage", ["on", True, None, -1])
def test_bad_storage_is_refused(storage):
    message = "cache must be auto, memory, mapped, compressed, off, or bytes of memory"
    with pytest.raises(ValueError, match=message):
        PrefixCache([], Preprocessing(), storage)
