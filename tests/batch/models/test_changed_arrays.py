"""What a caller changed or exchanged since the last call counts, with a cache and without."""

import keras
import numpy as np
import pytest

from batch import TFModel
from batch.feature_cache.prefix_cache import PrefixCache

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
ORDER = [np.random.default_rng(step).permutation(60)[:20] for step in range(6)]
CHANGED = np.intersect1d(ORDER[0], ORDER[4])[0]  # a row


@pytest.fixture(scope="module")
def model():
    """A tiny model whose first block is frozen, and whose other weights hardly move."""
    network = [
        keras.layers.Conv2D(2, 3, name="c0", kernel_initializer=keras.initializers.HeNormal(1)),
        keras.Sequential([keras.layers.Flatten(), keras.layers.Rescaling(0.1)]),
        keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(2)),
    ]
    config = {"inputs": INPUTS, "network": network, "freeze": ["c0"], "learning_rate": 1e-20}
    return TFModel(config)


@pytest.fixture
def kept(model):
    """A function that makes a step with a cache, which begins empty."""
    trainer = model.trainer
    cache = PrefixCache(trainer.steps.blocks, trainer.preprocessing, "memory")

    def step(*given, **options):
        trainer.cache = cache
        return model.train(*given, **options)

    step.cache = cache
    return step


@pytest.fixture
def plain(model):
    """A function that makes a step with new arrays and no cache."""
    trainer = model.trainer
    cache = PrefixCache(trainer.steps.blocks, trainer.preprocessing, "off")

    def step(images, labels):
        trainer.cache = cache
        return pytest.approx(model.train(images, labels), rel=1e-5)

    return step


def corrected(images, labels):
    labels[:] = (labels + 1) % 3


def one_label(images, labels):
    labels[CHANGED] = (labels[CHANGED] + 1) % 3


def mirrored(images, labels):
    images[:] = images[:, :, ::-1].copy()


def scaled(images, labels):
    images //= 2


def one_image(images, labels):
    images[CHANGED] = 255 - images[CHANGED]


def back_again(images, labels):
    images += 1
    images -= 1


def nothing(images, labels):
    pass


@pytest.mark.parametrize(
    "change", [corrected, one_label, mirrored, scaled, one_image, back_again, nothing]
)
@pytest.mark.parametrize("ids", [None, np.arange(60)])
def test_what_was_changed_in_place_is_trained_on(model, plain, kept, examples, change, ids):
    images, labels = (array.copy() for array in examples)
    for step, rows in enumerate(ORDER):
        if step == 4:
            change(images, labels)
        assert kept(images, labels, ids, rows=rows) == plain(images[rows], labels[rows])
        given = images[rows], labels[rows]
        accuracy = model.predict(images, labels, fetches="output_accuracy", rows=rows)
        assert accuracy == model.predict(*given, fetches="output_accuracy")
    off = ids is not None and change in (mirrored, scaled, one_image)  # an id has two images
    assert (kept.cache._current is None) == off
    assert kept.cache.hits > 20


def test_what_is_changed_in_every_step_is_trained_on(plain, kept, examples):
    images, labels = (array.copy() for array in examples)
    for rows in ORDER:
        images[rows] = images[rows][:, ::-1]
        assert kept(images, labels, rows=rows) == plain(images[rows], labels[rows])


def test_corrected_labels_leave_the_features_as_they_are(kept, examples):
    images, labels = (array.copy() for array in examples)
    for _ in range(3):
        kept(images, labels, rows=ORDER[0])
        labels[:] = (labels + 1) % 3
    assert kept.cache.hits == 40


def test_wrong_values_are_refused_when_their_row_comes(model, examples):
    images, labels = examples[0] / np.float32(255), examples[1].copy()
    model.train(images, labels, rows=[0, 1])
    labels[7], images[8] = 3, np.nan
    model.train(images, labels, rows=[2, 3])
    before = model.iteration
    with pytest.raises(ValueError, match="whole numbers from 0 to 2"):
        model.train(images, labels, rows=[7])
    with pytest.raises(ValueError, match="must be finite"):
        model.train(images, labels, rows=[8])
    assert model.iteration == before


def by_rows(images, labels, rows):
    return {"images": images, "labels": labels, "rows": rows}


def by_ids(images, labels, rows):
    return {"images": images[rows], "labels": labels[rows], "indices": rows}


def by_names(images, labels, rows):
    return {**by_ids(images, labels, rows), "indices": [f"image {row}" for row in rows]}


def by_both(images, labels, rows):
    return {**by_rows(images, labels, rows), "indices": np.arange(60)}


def by_nothing(images, labels, rows):
    return {"images": images[rows], "labels": labels[rows]}


WAYS = [by_rows, by_ids, by_names, by_both, by_nothing]


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("alive", [False, True])
def test_features_of_one_array_are_not_those_of_another(
    plain, kept, examples, first, second, alive
):
    images, labels = examples
    arrays, old = [images.copy(), 255 - images], []
    for way in (first, second, first):
        given = arrays.pop(0) if arrays else images // 2
        for rows in ORDER[:2] * 2:
            expected = plain(given[rows], labels[rows])
            assert kept(**way(given, labels, rows)) == expected
        old += [given] * alive
        del given
    assert (kept.cache.hits > 0) == ({first, second} != {by_nothing})
