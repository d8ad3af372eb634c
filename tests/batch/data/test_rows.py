import numpy as np
import pandas as pd
import pytest

from batch.data.rows import example_ids, row_numbers

MASK = np.arange(6) % 2 == 1


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (None, range(6)),
        ([5, 0, 5, 5], [5, 0, 5, 5]),
        ((3,), [3]),
        (range(2, 5), [2, 3, 4]),
        (np.array([1, 2], np.uint8), [1, 2]),
        (np.array([4], np.uint64), [4]),
        (np.array([1, 0], ">i4"), [1, 0]),
        (pd.Series([4, 2], index=[0, 1]), [4, 2]),  # by values, not by labels
        (pd.Index([2, 4]), [2, 4]),
        (pd.array([3, 1], dtype="Int64"), [3, 1]),
        (MASK, [1, 3, 5]),
        (MASK.tolist(), [1, 3, 5]),
        (pd.Series(MASK, index=range(5, -1, -1)), [1, 3, 5]),
        (np.ma.array([1, 2]), [1, 2]),
    ],
)
def test_rows_are_whole_numbers_or_the_places_of_a_mask(rows, expected):
    numbers = row_numbers(rows, 6)
    assert numbers.dtype == np.int64
    assert numbers.tolist() == list(expected)


@pytest.mark.parametrize(
    ("rows", "received"),
    [
        ([0.9, 1.9], "shape (2,), float64"),
        ([1.0, 2.0], "shape (2,), float64"),
        ([np.nan], "shape (1,), float64"),
        ([1j], "shape (1,), complex128"),
        (["1", "2"], "shape (2,), <U1"),
        (np.array([b"1"]), "shape (1,), |S1"),
        ([None, 1], "shape (2,), object"),
        (np.array([1, 2], object), "shape (2,), object"),
        (np.array([1], "m8[s]"), "shape (1,), timedelta64[s]"),
        (pd.array([1, None], dtype="Int64"), "shape (2,), "),
        (pd.Index(["a"]), "shape (1,), "),
        ([True, 2], "shape (2,), object"),
        (np.ma.array([1, 2], mask=[0, 1]), "shape (2,), object"),
        (MASK[:5], "shape (5,), bool"),
        (np.append(MASK, True), "shape (7,), bool"),
        (np.zeros(6, bool), "none"),
        (MASK[:, np.newaxis], "shape (6, 1), bool"),
        (True, "shape (), bool"),
        (3, "shape (), int64"),
        ([[1], [2]], "shape (2, 1), int64"),
        ([[1, 2], [3]], "shape (), object"),
        (iter([1, 2]), "shape (), object"),
        ({1, 2}, "shape (), object"),
        (slice(0, 3), "shape (), object"),
        ([], "none"),
        ([-1, 2], "-1 … 2"),
        ([0, 6], "0 … 6"),
        (np.array([1, 2**64 - 1], np.uint64), f"1 … {2**64 - 1}"),
        ([2**70], "shape (1,), object"),
    ],
)
def test_what_is_no_rows_is_refused(rows, received):
    with pytest.raises(
        ValueError, match=r"rows of the 6 images: whole .* shape \(6,\)\. "
    ) as error:
        row_numbers(rows, 6)
    assert f"Received: {received}" in str(error.value)


@pytest.mark.parametrize(
    "ids",
    [[7, 8, 9], ["a", "b", "b"], pd.Index(["x", "y", "z"]), np.array([1, "b", 2**70], object)],
)
def test_ids_are_whole_numbers_or_names(ids):
    first, _, third = ids
    assert example_ids(ids, np.array([2, 0]), 3).tolist() == [third, first]


@pytest.mark.parametrize(
    "ids",
    [
        [0.0, 1.0, 2.0],
        [True, False, True],
        [True, 1, 2],
        [1, None, 2],
        np.array([1, True, 2], object),
        [[1], [2], [3]],
        [1, 2],
        5,
        [[1, 2], [3], [4]],
        np.array([1, 2, 3], "M8[s]"),
    ],
)
def test_what_is_no_id_is_refused(ids):
    with pytest.raises(ValueError, match="name or a whole number for each of the 3 images"):
        example_ids(ids, np.arange(3), 3)
