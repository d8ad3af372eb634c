import dataclasses
import functools
import time

import numpy as np
import pytest
from batchflow import B

from batch import checks
from batch.shown import LONGEST, first_line, name_of, short


def doubled():
    values = ()
    for _ in range(40):
        values = (values, values)
    return values


@dataclasses.dataclass
class Holder:
    value: object


class Endless:
    def __repr__(self):
        while True:
            pass


class Failing:
    def __repr__(self):
        raise RuntimeError


def within_itself():
    values = [1]
    values.append(values)
    return values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Holder(doubled()), "a Holder"),
        (Endless(), "a Endless"),
        ([Failing()], "[a Failing]"),
        (functools.partial(print, doubled()), "a partial"),
        ([10**5000], "[a int too large to be shown]"),
        (within_itself(), "[1, [...]]"),
        ({"a": (1,), "b": [None, 1.5]}, "{'a': (1,), 'b': [None, 1.5]}"),
        ((frozenset({1}), set(), {2}), "(frozenset({1}), set(), {2})"),
        ("a\nb", r"'a\nb'"),
        (np.float32(2), "np.float32(2.0)"),
        (B("images"), "a B"),
        ([B("images").shape + doubled()], "[a AlgebraicNamedExpression]"),
        ([np.zeros((2, 3))], "[a ndarray of shape (2, 3)]"),
    ],
)
def test_a_value_is_shown_short(value, expected):
    assert short(value) == expected


LONG = [doubled(), {"a": [doubled()]}, "x" * 10**7, b"x" * 10**7]


@pytest.mark.parametrize("value", LONG, ids=["tuple", "dict", "text", "bytes"])
def test_what_is_too_long_is_cut(value):
    start = time.process_time()
    assert len(short(value)) == LONGEST + 2
    assert short(value).endswith(" …")
    assert time.process_time() - start < 1


def test_names_and_errors_are_cut_too():
    assert name_of("key") == "key"
    assert name_of("a\nb") == r"'a\nb'"
    assert len(name_of("x" * 10**6)) < 200
    assert first_line(ValueError("\nfirst\nsecond")) == "first"
    assert first_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    "refused",
    [
        lambda value: checks.numeric("it", value),
        lambda value: checks.as_dict({"it": value}),
        lambda value: checks.whole("it", value),
        lambda value: checks.one_of("it", value, ("a",)),
    ],
)
def test_a_small_tuple_of_many_leaves_is_refused_at_once(refused):
    start = time.process_time()
    with pytest.raises(ValueError, match=r"it (holds 2,199,023,255,550 values|must be)"):
        refused(doubled())
    assert time.process_time() - start < 1
