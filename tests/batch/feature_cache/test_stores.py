import numpy as np
import pytest
import tensorflow as tf

from batch.feature_cache.stores import STORES, Features


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("kind", STORES)
def test_what_is_written_is_read(kind, dtype):
    dtype = np.dtype(dtype)
    values = np.random.default_rng(0).integers(0, 9, (4, 3, 2)).astype(dtype)
    store = STORES[kind](10, (3, 2), dtype)
    store.write(np.array([7, 2]), values[:2])
    store.write(np.array([0, 9]), values[2:])
    tensor, places = store.read(np.array([2, 9, 2]))
    assert np.array_equal(tf.gather(tensor, places), values[[1, 3, 1]])
    assert store.bytes > 0


def test_zeros_are_compressed():
    zeros = np.zeros((5, 1000), np.float32)
    stores = {kind: STORES[kind](5, (1000,), zeros.dtype) for kind in STORES}
    for store in stores.values():
        store.write(np.arange(5), zeros)
    assert stores["memory"].bytes == stores["mapped"].bytes == zeros.nbytes
    assert stores["compressed"].bytes < zeros.nbytes / 10


def test_features_know_what_is_there():
    features = Features(1, STORES["memory"], 4, shape=(2,), dtype=np.dtype("float32"))
    values = np.ones((2, 2), np.float32)
    features.write(np.array([3, 1]), tf.constant([[7.0, 7], [1, 1], [1, 1]]), np.array([1, 2]))
    assert features.holds(np.array([0, 1, 3, 7])).tolist() == [False, True, True, False]
    features.close()
    tensor, rows = features.read(np.array([1, 3]))
    assert np.array_equal(tf.gather(tensor, rows), values)
    assert features.bytes == values.nbytes
    assert (features.count_carried(1), features.count_carried(1)) == (1, 0)


def test_what_goes_wrong_in_writing_is_raised():
    features = Features(1, STORES["memory"], 4, shape=(2,), dtype=np.dtype("float32"))
    features.write(np.array([1]), tf.ones((1, 3)), np.array([0]))
    for _ in range(2):  # it does not go away
        with pytest.raises(ValueError, match="shape"):
            features.read(np.array([1]))
