"""`fit`, `evaluate` and `predict` with arrays in mapped files."""

import keras
import numpy as np
import pytest

from batch import BlockModel
from batch.data import mapped
from batch.keras_model.batches import unread


def on_disk(array, path):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize(
    ("dtype", "frozen_batch_norm"), [("uint8", "inference"), ("float64", "batch")]
)
def test_mapped_arrays_give_what_those_in_memory_give(
    network, photos, recorded, tmp_path, monkeypatch, dtype, frozen_batch_norm
):
    monkeypatch.setattr(mapped, "free_memory", lambda: 100)
    images = (photos[0] * 255).astype(dtype)
    results = []
    for x, y in (
        (images, photos[1]),
        (on_disk(images, tmp_path / "x.npy"), on_disk(photos[1], tmp_path / "y.npy")),
    ):
        keras.utils.set_random_seed(0)
        model, steps = BlockModel(network()), recorded()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.SGD(1e-5)
        options = {"freeze": ["stem"], "frozen_batch_norm": frozen_batch_norm}
        model.compile(optimizer, loss, metrics=["accuracy"], **options)
        training = {"batch_size": 20, "epochs": 2, "verbose": 0, "callbacks": [steps]}
        history = model.fit(x, y, validation_split=0.3, **training).history
        evaluated = model.evaluate(x, y, verbose=0)
        predicted = [model.predict(each, verbose=0).tolist() for each in (x, [x])]
        results.append((steps.logs, history, evaluated, predicted))
    assert results[0] == results[1]
    assert not any(isinstance(unread(each), np.ndarray) for each in (x, *unread([x])))
    assert len(results[0][0]) == 6
