import keras
import numpy as np
import pytest
from batchflow import Dataset, DatasetIndex, action

from batch import ResBatch

RNG = np.random.default_rng(0)
BITS = RNG.random((24, 8, 9, 1)) < 0.4
BYTES = BITS.astype(np.uint8) * np.uint8(255)
LABELS = np.arange(24) % 3


def from_arrays(images, labels, **config):
    pipeline = Dataset(DatasetIndex(24), ResBatch).pipeline(config={"resnet": config})
    return pipeline.train_res([], images, labels)


def from_components(images, labels, **config):
    dataset = Dataset(DatasetIndex(24), ResBatch, preloaded=(images, labels))
    return dataset.pipeline(config={"resnet": config}).train_res([])


every_entrance = pytest.mark.parametrize("given", [from_arrays, from_components])


def blocks():
    return [
        keras.layers.Conv2D(2, 3, kernel_initializer="ones"),
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, "linear")], name="out"),
    ]


@pytest.fixture(scope="module")
def network():
    return keras.Sequential([keras.Input(BITS.shape[1:]), *blocks()])


def weights(pipeline):
    pipeline.next_batch(24)
    return pipeline.m("resnet").network.get_weights()


@every_entrance
@pytest.mark.parametrize("dtype", [bool, np.float64])
def test_0_and_1_train_as_black_and_white_do(given, dtype, network):
    expected = weights(from_arrays(BYTES, LABELS, network=network))
    got = weights(given(BITS.astype(dtype), LABELS, network=network))
    for ours, theirs in zip(got, expected):
        np.testing.assert_array_equal(ours, theirs)


@every_entrance
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (BITS.astype(np.uint8), LABELS, r"only 0 and 1: give images \* np\.uint8\(255\)"),
        (BYTES.astype(np.float32), LABELS, r"Give images / np\.float32\(255\), or begin"),
        (BYTES.astype(np.int64), LABELS, r"Give images\.astype\('uint8'\), or begin"),
        (np.moveaxis(BYTES, -1, 1), LABELS, r"1 channels of 8×9 .* np\.moveaxis\(images, 1, -1\)"),
        (BYTES, LABELS + 1, "class 0 has no example: give labels - 1"),
        (BYTES, 5 * LABELS, r"8 of 11 classes have no example: give np\.searchsorted"),
        (BYTES, np.eye(4)[LABELS + 1], r"first of 4 columns alone is empty.* labels\[:, 1:\]"),
        (BYTES, np.array(["cat", "dog", "owl"])[LABELS], "of names, give np.searchsorted"),
        (BYTES, BYTES, "are the two swapped"),
    ],
)
def test_what_is_almost_surely_wrong_is_refused(given, images, labels, message):
    with pytest.raises(ValueError, match=message):
        given(images, labels).next_batch(24)


@every_entrance
def test_a_class_without_an_example_is_named_once(given, network, caplog):
    labels = np.where(LABELS == 1, 3, LABELS)
    network = [*blocks()[:-1], keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])]
    pipeline = given(BYTES, labels, network=network)
    for _ in range(2):
        pipeline.next_batch(24, n_epochs=None)
    assert [record.message for record in caplog.records] == ["No example of class 1."]


@every_entrance
def test_classes_without_examples_may_be_meant(given, network):
    network = [*blocks()[:-1], keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(9)])]
    pipeline = given(BYTES, LABELS + 5, network=network, classes=9)
    assert pipeline.next_batch(24).pipeline.m("resnet").classes == 9


def read_by_an_action(labels):
    class Reading(ResBatch):
        @action
        def read(self):
            self.images, self.labels = BYTES[self.indices], labels[self.indices]
            return self

    return Dataset(DatasetIndex(24), Reading)


def test_one_batch_of_one_hot_rows_may_lack_a_class(network):
    rows = np.arange(24)[LABELS > 0]
    dataset = read_by_an_action(np.eye(3)[LABELS]).create_subset(DatasetIndex(rows))
    pipeline = dataset.pipeline(config={"resnet": {"network": network}}).read().train_res([])
    pipeline.next_batch(len(rows))
    assert pipeline.m("resnet").classes == 3


def test_one_batch_of_a_column_of_labels_does_not_tell_the_classes():
    with pytest.raises(ValueError, match="The labels of one batch don't tell how many classes"):
        read_by_an_action(LABELS[:, None]).p.read().train_res([]).next_batch(24)
