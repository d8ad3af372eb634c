import numpy as np
import pytest


@pytest.mark.usefixtures("bits_in_any_place")
def test_numbered_examples_are_known_again_in_other_batches(model, examples, draws):
    images, labels = examples
    plain, kept = (model(kind, frozen=2) for kind in ("off", "memory"))
    for rows in draws(6):
        batch = images[rows], labels[rows]
        numbers = 1000 + rows
        assert kept.train(*batch, indices=numbers) == plain.train(*batch)
    assert kept.trainer.cache.hits > 40


def test_names_can_be_numbers(model, examples):
    kept = model("memory", frozen=1)
    names = np.array([f"image {i}" for i in range(60)])
    for _ in range(2):
        kept.train(*examples, indices=names)
    assert kept.trainer.cache.hits == 60


def test_numbered_images_that_change_are_not_served(model, examples, caplog):
    images, labels = examples
    plain, kept = (model(kind, frozen=1) for kind in ("off", "memory"))
    for shift in range(3):
        moved = np.roll(images, shift, axis=1)
        assert kept.train(moved, labels, indices=np.arange(60)) == plain.train(moved, labels)
    assert kept.trainer.cache.hits == 0
    assert [record.getMessage() for record in caplog.records] == [
        "No cache of what frozen blocks compute: the images of an example differ from one step to "
        "the next."
    ]


def test_batches_that_nothing_tells_apart_are_not_served(model, examples, caplog, draws):
    images, labels = examples
    made = model("memory", frozen=1)
    for rows in draws(3):
        made.train(images[rows], labels[rows])
    assert made.trainer.cache.stats() is None
    assert len(caplog.records) == 1
    assert "give rows of an array, or indices" in caplog.records[0].getMessage()


def test_the_same_images_again_are_told_apart_by_their_rows(model, examples):
    made = model("memory", frozen=1)
    for _ in range(3):
        made.train(*examples)
    assert made.trainer.cache.hits == 60  # filled in the second step


def test_other_images_are_other_examples(model, examples):
    images, labels = examples
    plain, kept = (model(kind, frozen=1) for kind in ("off", "memory"))
    other = 255 - images
    for array in (images, images, other, other, images):
        rows = np.arange(20)
        loss = plain.train(array, labels, rows=rows)
        assert kept.train(array, labels, rows=rows) == loss


def test_where_there_are_more_examples_than_room_nothing_is_kept(
    model, examples, monkeypatch, caplog
):
    images, labels = examples
    monkeypatch.setattr("batch.feature_cache.placement.unwritten", lambda: 0)
    monkeypatch.setattr("batch.feature_cache.placement.free_memory", lambda: 6000)  # 11 rows
    plain, kept = (model(kind, frozen=1) for kind in ("off", "memory"))
    for rows in (np.arange(10), np.arange(10), np.arange(30, 40), np.arange(10)):
        batch = images[rows], labels[rows]
        assert kept.train(*batch, indices=rows) == plain.train(*batch)
    assert kept.trainer.cache.requests == 20
    assert "more examples than there is room for" in caplog.records[0].getMessage()


def test_batches_of_another_size_are_computed(by_hand):
    made, step = by_hand(1)
    for size in (20, 20, 10, 20):
        step(np.arange(size))
    assert made.trainer.cache.requests == 60


def test_features_of_batches_of_different_sizes_are_not_mixed(by_hand):
    made, step = by_hand(1)
    cache = made.trainer.cache
    for size in (2, 20, 20):  # the larger batch begins anew
        step(np.arange(size))
    assert (cache.requests, cache.hits) == (42, 20)
    made.trainer.schedule.frozen = 2
    step(np.arange(10))  # too small to begin the next stage with
    assert cache._current.depth == 1
    step(np.arange(20))
    assert (cache._current.depth, cache.requests) == (2, 62)


def test_arrays_in_turn_are_not_kept(model, examples):
    images, labels = examples
    made = model("memory", frozen=1)
    for array in (images, 255 - images, images, 255 - images):
        made.train(array, labels, rows=np.arange(20))
    assert made.trainer.cache.requests == 20  # of the first, before there was another
    assert made.trainer.cache._current is None
