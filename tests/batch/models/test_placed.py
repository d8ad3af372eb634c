import gc
import threading

import numpy as np
import pytest
import tensorflow as tf

from batch.models import placed
from batch.models.placed import place_once

ROWS = np.array([5, 2, 2])
VALUES = np.arange(6 * 4).reshape(6, 2, 2)
KINDS = {
    **{name: VALUES.astype(name) for name in ("uint8", "float16", ">f8", "int64")},
    "truth values": VALUES > 12,
    "one a row": VALUES[:, 0, 0].copy(),
    "columns first": np.asfortranarray(VALUES),
    "rows last": np.moveaxis(np.ascontiguousarray(np.moveaxis(VALUES, 0, -1)), -1, 0),
    "every other": np.repeat(VALUES, 2, axis=0)[::2],
}


@pytest.fixture(params=[*KINDS, "mapped", "view"])
def array(request, tmp_path):
    """An array of 6 rows."""
    if request.param == "mapped":
        array = np.memmap(tmp_path / "array", np.uint8, "w+", shape=VALUES.shape)
        array[:] = VALUES
        return array
    if request.param == "view":  # read-only; what it shows can change all the same
        array = VALUES.copy()[:]
        array.setflags(write=False)
        return array
    return KINDS[request.param].copy(order="K")


def change(array, row):
    """Change the last value of a row."""
    (array.base if not array.flags.writeable else array)[(row, *[-1] * (array.ndim - 1))] += 1


def test_an_array_is_placed_once_as_long_as_its_rows_stay(array):
    first = place_once(array, np.copy, ROWS)
    assert place_once(array, np.copy, ROWS) is place_once(array, np.copy) is first
    assert place_once(array.copy(), np.copy, ROWS) is not first
    assert place_once(array, np.copy, ROWS, "another key") is not first


def test_a_row_that_changed_is_noticed_when_it_is_needed(array):
    first = place_once(array, np.copy, ROWS)
    change(array, 3)
    assert place_once(array, np.copy, ROWS) is first  # 3 is not among them
    again = place_once(array, np.copy, np.array([0, 3]))
    assert np.array_equal(again, array)
    assert place_once(array, np.copy) is again
    change(array, 0)
    assert np.array_equal(place_once(array, np.copy), array)  # all of them are needed


def test_an_array_of_another_form_is_another():
    array = np.zeros((4, 2), np.uint8)
    place_once(array, np.copy)
    array.shape = (2, 4)
    assert place_once(array, np.copy, np.array([0])).shape == (2, 4)
    array.dtype = np.int8
    assert place_once(array, np.copy, np.array([0])).dtype == np.int8


def test_large_rows_are_read_in_parts(monkeypatch):
    array = np.zeros((7, 10), order="F")
    monkeypatch.setattr(placed, "PART", 2 * array[0].nbytes)
    first = place_once(array, np.copy)
    array[6, 9] = 1
    assert place_once(array, np.copy, np.arange(6)) is first
    assert place_once(array, np.copy, np.arange(7))[6, 9] == 1


@pytest.mark.parametrize("make", [list, tf.constant, tf.Variable])
def test_what_is_no_array_is_always_made_anew(make):
    given = make(VALUES.tolist())
    assert np.array_equal(place_once(given, np.copy), VALUES)
    changed = [[[9, 9], [9, 9]], *VALUES[1:].tolist()]
    given = given.assign(changed) if make is tf.Variable else make(changed)
    assert place_once(given, np.copy, ROWS)[0, 0, 0] == 9


def test_objects_are_always_made_anew():
    array = np.array([[1], [2]], object)
    place_once(array, np.copy)
    array[0, 0] = 9
    assert place_once(array, np.copy)[0, 0] == 9


def test_nothing_is_kept_of_an_array_that_is_gone():
    gc.collect()
    held = len(placed._placed)
    array = VALUES.copy()
    for _ in range(2):
        place_once(array, np.copy)
        array[0] += 1
    assert len(placed._placed) == held + 1
    del array
    gc.collect()
    assert len(placed._placed) == held


def test_what_can_not_be_made_is_tried_again():
    array = np.array([1.0, np.nan])

    def finite(values):
        if not np.isfinite(values).all():
            raise ValueError("not finite")
        return values.copy()

    for _ in range(2):
        with pytest.raises(ValueError, match="not finite"):
            place_once(array, finite)
    array[1] = 2
    place_once(array, finite)
    array[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        place_once(array, finite)


def test_what_changes_while_it_is_placed_is_noticed():
    array = np.zeros(3)

    def meanwhile(values):
        values[1] += 1
        return values.copy()

    first = place_once(array, meanwhile)
    array[1] = 5
    assert place_once(array, np.copy) is not first


def test_several_threads_place_an_array_once():
    array, made = np.zeros((1000, 10)), []
    barrier = threading.Barrier(4)

    def place():
        barrier.wait()
        made.append(place_once(array, np.copy))

    threads = [threading.Thread(target=place) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(array) for array in made}) == 1
