import numpy as np
import pytest

from batch.data.labels import class_numbers, count_classes, one_hot


def test_numbers_columns_and_one_hot_rows_are_the_same():
    labels = np.array([2, 0, 1])
    for form in (labels, labels.astype(float), labels[:, None], one_hot(labels, 3)):
        numbers = class_numbers(form, 3)
        assert numbers.tolist() == [2, 0, 1]
        assert numbers.dtype == np.int64
        assert count_classes(form) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], "whole numbers from 0 to 2"),
        ([0, -1], "whole numbers from 0 to 2"),
        ([0.5], "whole numbers"),
        ([np.nan], "NaN"),
        ([], "not empty"),
        (["a"], "must be numbers"),
        (np.eye(4), "3 wide"),
        ([[1, 1, 0]], "one-hot"),
        ([[0.5, 0.5, 0]], "one-hot"),
        (np.zeros((2, 2, 2)), r"\(N,\)"),
    ],
)
def test_other_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        class_numbers(labels, 3)
