import keras
import numpy as np
import pytest
import tensorflow as tf
from batchflow import B, Dataset

from batch import ResBatch, TFModel
from batch.feature_cache.stores import STORES
from batch.training.preprocessing import Preprocessing

VIEWS = {"augment": {"pad": 1, "flip": True, "views": 2}}
SIZES = (20, 20, 7, 20, 33, 20, 33, 1, 33, 33, 20, 33, 33)  # of batches


@pytest.fixture
def viewed(model):
    """A function that makes a quick model whose images have two views each."""

    def make(cache, frozen=2, **config):
        network = [
            keras.layers.Conv2D(2, 3, activation="relu", name="stem"),
            keras.layers.Conv2D(3, 3, name="middle"),
            keras.layers.Conv2D(2, 3, name="end"),
            keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)], name="classifier"),
        ]
        return model(cache, frozen, **{"network": network, "seed": 5, **VIEWS, **config})

    return make


@pytest.fixture
def batches():
    """Rows of batches of several sizes, of a set that is small enough to be seen again."""
    rng = np.random.default_rng(1)
    return [rng.permutation(60)[:size] for size in SIZES]


def by_rows(model, images, labels, rows):
    return model.train(images, labels, rows=rows)


def by_numbers(model, images, labels, rows):
    return model.train(images[rows], labels[rows], indices=rows)


def by_names(model, images, labels, rows):
    names = np.array([f"image {row}" for row in rows])
    return model.train(images[rows], labels[rows], indices=names)


@pytest.mark.usefixtures("bits_in_any_place")
@pytest.mark.parametrize(
    ("train", "caches"), [(by_rows, STORES), (by_numbers, ["memory"]), (by_names, ["memory"])]
)
def test_losses_are_those_without_a_cache(viewed, examples, batches, train, caches):
    plain, *kept = (viewed(kind, frozen=None) for kind in ("off", *caches))
    for rows in batches:  # three stages, and all blocks learning again
        loss = train(plain, *examples, rows)
        assert [train(each, *examples, rows) for each in kept] == [loss] * len(caches)
    for each in kept:
        weights = (made.network.get_weights() for made in (plain, each))
        assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True))
        assert 0 < each.trainer.cache.hits < each.trainer.cache.requests


def test_all_versions_are_there_after_as_many_epochs(viewed, examples):
    made = viewed("memory", frozen=1)
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(60) for _ in range(4)])
    for rows in order.reshape(-1, 16):  # epochs meet within batches
        by_rows(made, *examples, rows)
    stats = made.trainer.cache.stats()
    assert (stats["asked"], stats["hits"]) == (240, 120)
    assert stats["bytes"] == 2 * 60 * 6 * 6 * 2 * 4


def test_versions_of_one_example_are_not_taken_for_each_other(viewed, examples):
    made, plain = viewed("memory", frozen=1), viewed("off", frozen=1)
    few, rows = [array[:9] for array in examples], np.array([3, 3, 8])  # one of them twice
    losses = [[each.train(*few, rows=rows) for _ in range(12)] for each in (made, plain)]
    assert losses[0] == losses[1]
    assert made.trainer.cache.stats()["bytes"] == 2 * 2 * 6 * 6 * 2 * 4


@pytest.mark.usefixtures("bits_in_any_place")
def test_a_resumed_run_is_that_which_went_on(viewed, examples, batches, tmp_path):
    whole, first = viewed("memory", frozen=None), viewed("memory", frozen=None)
    losses = [by_rows(whole, *examples, rows) for rows in batches]
    for rows in batches[:4]:
        by_rows(first, *examples, rows)
    first.save(tmp_path / "model")
    second = TFModel({"load": {"path": tmp_path / "model"}})
    assert [by_rows(second, *examples, rows) for rows in batches[4:]] == losses[4:]
    assert second.trainer.cache.hits


@pytest.mark.usefixtures("bits_in_any_place")
@pytest.mark.parametrize(
    "config", [{"microbatch_size": 6}, {"precision": "bfloat16"}, {"optimizer": "Adam"}]
)
def test_views_beside_other_options(viewed, examples, batches, config):
    plain, kept = (viewed(kind, **config) for kind in ("off", "memory"))
    for rows in batches[:6]:
        assert by_rows(kept, *examples, rows) == by_rows(plain, *examples, rows)
    assert kept.trainer.cache.hits


def test_the_step_of_the_next_stage_is_ready(viewed, examples, monkeypatch):
    ready = viewed("memory", frozen=None)
    late = viewed("memory", frozen=None)
    for model, lead in ((ready, 5.0), (late, -1.0)):
        monkeypatch.setattr("batch.machine.COMPILE_LEAD", lead)
        model.losses = []
        for seed in range(8):
            rows = np.random.default_rng(seed).permutation(60)[:20]
            model.losses.append(model.train(*examples, rows=rows))
            model.trainer.settle()
    started = ready.trainer._compile_ahead._started
    assert started
    assert all(future.exception() is None for future in started.values())
    assert set(started) <= set(ready.trainer.steps._compiled)
    assert ready.losses == late.losses


def test_one_function_each_for_images_and_for_features(viewed, examples, monkeypatch):
    monkeypatch.setattr("batch.machine.FORWARD_SPEED", 1e5)  # so that it is carried forward
    made, traced = viewed("memory", frozen=1), []
    crop = Preprocessing._cropped
    monkeypatch.setattr(
        Preprocessing, "_cropped", lambda *given: traced.append(given) or crop(*given)
    )
    rng = np.random.default_rng(0)
    for frozen in (1, 1, 1, 1, 2, 2):
        made.trainer.schedule.frozen = frozen
        for rows in rng.permutation(60).reshape(3, 20):
            made.train(*examples, rows=rows)
    prefix = made.trainer.cache._prefix
    assert list(prefix._compiled) == [(0, 1, tf.uint8), (1, 2, tf.float32)]
    assert len(traced) == 1
    assert made.trainer.cache.hits == 120


@pytest.mark.parametrize("prefetch", [0, 3])
@pytest.mark.parametrize("arrays", [True, False])
def test_pipelines_say_which_example_is_which(viewed, examples, arrays, prefetch):
    own = {"network": viewed("off").config["network"], "freeze": "stem", "cache": "memory"}
    pipeline = Dataset(60, ResBatch, preloaded=examples).pipeline(
        config={"resnet": {**VIEWS, **own, "classes": 3}}
    )
    losses = []
    pipeline = pipeline.train_res(losses, *(examples if arrays else ()))
    for _ in pipeline.gen_batch(20, n_epochs=4, shuffle=1, prefetch=prefetch):
        pass
    stats = pipeline.m("resnet").trainer.cache.stats()
    assert len(losses) == 12
    assert stats["asked"] == 240
    assert stats["hits"] == 120 if arrays and not prefetch else 60 < stats["hits"] < 240


def test_a_model_in_a_pipeline_needs_the_indices(viewed, examples):
    model = viewed("memory", frozen=1)
    dataset = Dataset(60, ResBatch, preloaded=examples)
    told = dataset.p.train_model("net", B.images, B.labels, B.indices)
    untold = dataset.p.train_model("net", B.images, B.labels)
    for pipeline in (told, untold):
        pipeline.models.add_model("net", model)
    told.next_batch(20)
    with pytest.raises(ValueError, match="need to know which example"):
        untold.next_batch(20)
    assert model.iteration == 1


@pytest.mark.parametrize("cache", ["off", "memory"])
def test_examples_that_nothing_tells_apart_are_refused(viewed, examples, cache):
    made = viewed(cache)
    message = "'views' of 'augment' need to know which example .* give indices .* Received: neither"
    for given in ({}, {"feed_dict": dict(zip(("images", "labels"), examples))}):
        with pytest.raises(ValueError, match=message):
            made.train(*(() if given else examples), **given)
    assert made.iteration == 0
    assert made.predict(*examples).shape == (60, 3)
    made.train(*examples, rows=np.arange(60))


def test_visits_are_shared_by_the_views(viewed, examples, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "batch.feature_cache.prefix_cache.choose",
        lambda costs, row_bytes, visits, **given: (
            seen.append((visits, given["find_placement"](row_bytes, 0).rows)) or (None, False)
        ),
    )
    for views in (1, 4):
        made = viewed("auto", frozen=None, augment={"flip": True, "views": views})
        for _ in range(4):
            made.train(*examples, rows=np.arange(20))
    once, shared = seen[0], seen[len(seen) // 2]
    assert once[0] == 4 * shared[0] > 0
    assert (once[1], shared[1]) == (60, 240)
