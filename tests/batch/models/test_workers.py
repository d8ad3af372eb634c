"""Two workers train what one process trains: `tests/devices/worker.py` has run both."""

import json

import numpy as np
import pytest


@pytest.fixture(scope="module")
def given(workers):
    return [json.loads((workers / f"worker{number}.json").read_text()) for number in range(2)]


@pytest.mark.parametrize("name", ["weights", "augmented"])
def test_workers_train_what_one_process_trains(given, name):
    first, second = (worker["equal"][name] for worker in given)
    for kind, values in first.items():
        np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-6)
        assert second[kind][1] == values[1]


def test_each_worker_keeps_the_features_of_its_examples(given):
    for worker in given:
        requests, hits = worker["cache"]
        assert requests >= 8 * 4
        assert hits >= 7 * 4


def test_workers_exchange_active_blocks_only(given):
    sizes = [4 * (2 * 9 + 2), 4 * (3 * 2 * 4 + 3), 4 * (3 * 3 + 3)]
    expected = 2 * sum(sizes) + 2 * sum(sizes[1:])  # two steps with a frozen block
    assert [worker["bytes"] for worker in given] == [expected] * 2


def test_what_workers_cannot_do_is_refused(given):
    for worker in given:
        seen, other, iteration = worker["refused"]
        assert "must fetch losses alone" in seen
        assert "All workers must begin with the same weights" in other
        assert iteration == 0
