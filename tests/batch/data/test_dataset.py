import numpy as np
import pytest

from batch.data.blk import write_blk
from batch.data.data import ARRAYS
from batch.data.dataset import Data, Split, check_covered
from utils import DataError, load_data

RNG = np.random.default_rng(0)
LABELS = np.arange(35) % 3
BITS = RNG.random((35, 8, 9, 1)) < 0.4
BYTES = RNG.integers(0, 256, (35, 8, 9, 1)).astype(np.uint8)
BYTES[0, 0, 0] = BYTES[-1, 0, 0] = 255
COLOURS = RNG.integers(0, 256, (35, 8, 9, 3)).astype(np.uint8)


def from_arrays(images, labels, tmp_path):
    return Data.of(images[:30], labels[:30], images[30:], labels[30:])


def from_npz(images, labels, tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, **dict(zip(ARRAYS, (images[:30], labels[:30], images[30:], labels[30:]))))
    return load_data(path)


def from_blk(images, labels, tmp_path):
    write_blk(tmp_path / "own_pics.blk", images)
    write_blk(tmp_path / "own_labels.blk", labels)
    return load_data(tmp_path)


every_entrance = pytest.mark.parametrize("load", [from_arrays, from_npz, from_blk])


@every_entrance
@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint16, np.float32, np.float64])
def test_0_and_1_are_black_and_white_in_every_type_but_uint8(load, dtype, tmp_path):
    data = load(BITS.astype(dtype), LABELS, tmp_path)
    assert data.train.images.dtype == data.test.images.dtype == np.uint8
    for split, rows in ((data.train, slice(30)), (data.test, slice(30, None))):
        np.testing.assert_array_equal(split.images / np.float32(255), BITS[rows])
    assert f"{np.dtype(dtype)} from 0 to 1, kept as uint8 from 0 to 255" in data.summary()


@every_entrance
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, np.float32])
def test_0_to_255_are_kept(load, dtype, tmp_path):
    data = load(BYTES.astype(dtype), LABELS, tmp_path)
    np.testing.assert_array_equal(data.train.images, BYTES[:30])
    np.testing.assert_array_equal(data.test.images, BYTES[30:])


@every_entrance
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_divided_by_255_are_brought_back(load, dtype, tmp_path):
    data = load((BYTES / 255).astype(dtype), LABELS, tmp_path)
    np.testing.assert_array_equal(data.train.images, BYTES[:30])
    np.testing.assert_array_equal(
        data.test.images / np.float32(255), BYTES[30:].astype(np.float32) / 255
    )


@every_entrance
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (BITS.astype(np.uint8), r"only 0 and 1: give images \* np\.uint8\(255\), or .*'float32'"),
        (BYTES % 17.0, r"give \(images \* \(255 / WHITE\)\).* Received: float64 from 0 to 16"),
        (BYTES.astype(np.uint16) * 257, "Received: uint16 from 0 to 65535"),
        (BYTES / 100.0 - 1, "Received: float64 from -1 to"),
        (RNG.random(BYTES.shape), r"give \(images \* 255\)\.round\(\)\.astype\('uint8'\)"),
        (BYTES * 0.99, r"give images\.round\(\)\.astype\('uint8'\)"),
        (np.moveaxis(COLOURS, -1, 1), r"\(N, C, H, W\), 3 channels of 8×9 .*moveaxis\(images, 1,"),
        (np.moveaxis(BYTES, -1, 1), r"1 channels of 8×9 .* Received: \(N, 1, 8, 9\)"),
    ],
)
def test_images_of_another_scale_or_layout_are_refused(load, images, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(images, LABELS, tmp_path)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (BYTES, BITS.astype(np.float32)),
        (BITS, BYTES),
        (BYTES.astype(np.float32), BYTES / 255),
    ],
)
def test_splits_of_two_scales_are_refused(train, test):
    with pytest.raises(DataError, match=r"one scale, .* Received: train .*, test"):
        Data.of(train, LABELS, test, LABELS)


def test_black_images_are_of_every_scale():
    black = np.zeros_like(BYTES)
    for images in (black, black.astype(bool), black.astype(np.float64)):
        assert Data.of(BYTES, LABELS, images, LABELS).test.images.max() == 0
    dark = np.minimum(BYTES, 3)  # uint8 is divided by 255, and the summary says its range
    assert "uint8 from 0 to 3 (divided by 255)" in Data.of(dark, LABELS, dark, LABELS).summary()


@every_entrance
@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels.astype(np.uint8)[:, None],
        lambda labels: labels.astype(np.float32),
        lambda labels: np.eye(3)[labels],
        lambda labels: np.eye(3)[labels] > 0,
    ],
)
def test_labels_in_every_form(load, form, tmp_path):
    data = load(BYTES, form(LABELS), tmp_path)
    assert data.classes == 3
    assert data.train.labels.dtype == np.int64
    np.testing.assert_array_equal(data.train.labels, LABELS[:30])


@every_entrance
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 1, "class 0 has no example: give labels - 1. Received: values from 1 to 3"),
        (np.eye(4)[LABELS + 1], r"first of 4 columns alone .* give labels\[:, 1:\]"),
        (10 * LABELS, r"18 of 21 classes .* give np\.searchsorted\(names, labels\) with names ="),
        (np.where(LABELS < 2, LABELS, 255), "253 of 256 classes have no example"),
        (np.where(np.arange(35) < 30, 0, LABELS), "train split: no example of class.* test split"),
    ],
)
def test_labels_that_are_not_counted_from_0_are_refused(load, labels, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(BYTES, labels, tmp_path)


def test_names_as_labels_are_refused_with_the_line_that_numbers_them():
    names = np.array(["cat", "dog", "owl"])[LABELS]
    for labels in (names, names.astype(object), names.astype(bytes)):
        with pytest.raises(DataError, match=r"train split: .* of names, give np\.searchsorted"):
            Data.of(BYTES, labels, BYTES, labels)


@pytest.mark.parametrize("bad", [None, "images", [[1], [1, 2]], {}, 3, BYTES.astype(complex)])
def test_what_is_no_array_of_images_or_labels_is_refused(bad):
    with pytest.raises(DataError, match=r"train split: (images|pixels) must be .* Received: "):
        Data.of(bad, LABELS, BYTES, LABELS)
    with pytest.raises(DataError, match=r"test split: labels must be .* Received: "):
        Data.of(BYTES, LABELS, BYTES, bad)


def test_what_stands_in_another_place_is_named():
    with pytest.raises(DataError, match=r"train split: images must be .* Received: \(35,\)"):
        Data.of(LABELS, BYTES, LABELS, BYTES)
    with pytest.raises(DataError, match=r"labels must be \(N,\) .* are the two swapped\?"):
        Data.of(BYTES, BYTES, LABELS, LABELS)  # as scikit-learn's train_test_split orders them
    last = np.moveaxis(BYTES[:20], 0, -1)
    with pytest.raises(DataError, match=r"8 images, but 20 .* np\.moveaxis\(images, -1, 0\)"):
        Data.of(last, LABELS[:20], last, LABELS[:20])


def test_a_class_that_train_lacks_is_refused_wherever_data_come_from():
    data = Data.of(BYTES, LABELS, BYTES[:3], LABELS[:3])
    assert check_covered(data) is None
    with pytest.raises(DataError, match="no example of class 2, of which the test split has 11"):
        Data.of(BYTES[:2], LABELS[:2], BYTES, LABELS)


def test_the_number_of_classes_may_be_given():
    data = Data.of(BYTES, LABELS + 1, BYTES, LABELS + 1, classes=5)
    assert data.classes == 5
    assert data.summary().endswith("5 classes of 11 to 12 examples; no example of classes 0, 4")
    with pytest.raises(DataError, match=r"from 0 to 2.* counted from 1: give labels - 1"):
        Data.of(BYTES, LABELS + 1, BYTES, LABELS + 1, classes=3)


def test_a_summary_says_what_was_understood():
    assert load_data("digits").summary() == (
        "digits: 1,347 + 450 images of 28×28×1, uint8 from 0 to 255 (divided by 255), "
        "10 classes of 131 to 137 examples"
    )
    data = Data.of(COLOURS[:6], LABELS[:6], COLOURS[:2], LABELS[:2], name="few")
    assert data.summary() == (
        f"few: 6 + 2 images of 8×9×3, uint8 from {COLOURS[:6].min()} to {COLOURS[:6].max()} "
        "(divided by 255), 3 classes of 2 examples each; none of class 2 to test on"
    )
    wide = np.eye(12)[LABELS]
    end = "; no example of classes 3, 4, 5, 6, 7 and 4 more"
    assert Data.of(BYTES, wide, BYTES, wide).summary().endswith(end)


def sorted_labels(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(labels)


def parted(sizes, count):
    """The part of data with so many images a class, whose pixels count them."""
    labels = sorted_labels(sizes)
    images = np.arange(len(labels)).astype(np.uint8).reshape(-1, 1, 1, 1)
    data = Data("some", len(sizes), Split(images, labels), Split(images[:1], labels[:1]))
    part = data.with_train_images(count)
    assert part.test is data.test
    rows = part.train.images.ravel()
    np.testing.assert_array_equal(part.train.labels, labels[rows])
    assert (np.diff(rows.astype(int)) > 0).all()  # the order is kept
    return rows, part


@pytest.mark.parametrize(
    ("sizes", "count", "shares"),
    [
        ((60, 60, 60), 30, (10, 10, 10)),
        ((100, 50, 50), 21, (11, 5, 5)),  # 10.5, 5.25, 5.25
        ((50, 50, 50), 4, (2, 1, 1)),  # equal remainders: the first class
        ((97, 2, 1), 100, (97, 2, 1)),
        ((9, 0, 3), 4, (3, 0, 1)),
    ],
)
def test_a_part_has_every_class_in_proportion(sizes, count, shares):
    _, part = parted(sizes, count)
    assert np.bincount(part.train.labels, minlength=3).tolist() == list(shares)


def test_a_part_is_always_the_same_and_lies_in_larger_ones():
    rows, larger = (parted((60, 60, 60), count)[0] for count in (30, 90))
    np.testing.assert_array_equal(rows, parted((60, 60, 60), 30)[0])
    assert set(rows.tolist()) < set(larger.tolist())
    assert rows[:5].tolist() == [4, 5, 7, 18, 33]
    assert len(parted((60, 60, 60), 180)[0]) == 180


def test_a_part_of_the_test_split():
    labels = sorted_labels((40, 20))
    images = np.arange(60, dtype=np.uint8).reshape(-1, 1, 1, 1)
    data = Data("some", 2, Split(images[:2], labels[:2]), Split(images, labels))
    part = data.with_test_images(9)
    assert part.train is data.train
    rows = part.test.images.ravel()
    np.testing.assert_array_equal(part.test.labels, labels[rows])
    assert np.bincount(part.test.labels).tolist() == [6, 3]
    with pytest.raises(ValueError, match="test_images must be at most the 60 of the test split of"):
        data.with_test_images(61)


@pytest.mark.parametrize(
    ("sizes", "count", "message"),
    [
        ((60, 60), 121, "train_images must be at most the 120 of the training .* Received: 121"),
        ((60, 60), 1, "each class, as 2 do. Received: 1, which leave none of class 1"),
        ((97, 2, 1), 40, "each class, as 100 do. Received: 40, which leave none of class 2"),
        ((60, 60), 0, "train_images must be a whole number above 0. Received: 0"),
        ((60, 60), 2.5, "train_images must be a whole number above 0. Received: 2.5"),
    ],
)
def test_parts_that_there_are_not_are_refused(sizes, count, message):
    with pytest.raises(ValueError, match=message):
        parted(sizes, count)
