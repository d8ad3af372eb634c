import math

import numpy as np
import pytest

from batch import machine
from batch.feature_cache import placement as placement_module
from batch.feature_cache import stores as feature_stores
from batch.feature_cache.placement import (
    Budget,
    CacheState,
    Placement,
    choose,
    count_visits,
    memory_for_features,
)
from batch.feature_cache.stores import STORES
from batch.flops import block_costs
from batch.networks.resnet import small_resnet

MEMORY = STORES["memory"]
COSTS = [machine.FORWARD_SPEED * 1e-5] * 3  # ten microseconds each
EMPTY = CacheState()
SIZE = 4000  # bytes: 8 microseconds to write


def anywhere(row_bytes, beside):
    return Placement(MEMORY, 100)


def nowhere(row_bytes, beside):
    return None


@pytest.mark.parametrize(
    ("visits", "room", "kept"), [(1, anywhere, False), (10, anywhere, True), (10, nowhere, False)]
)
def test_a_prefix_is_kept_where_it_is_visited_again(visits, room, kept):
    placement, carried = choose(COSTS, SIZE, visits, state=EMPTY, find_placement=room)
    assert (placement is not None) == kept
    assert not carried


@pytest.mark.parametrize(("visits", "kept"), [(2.1, False), (4, True)])
def test_four_blocks_of_the_small_resnet_pay_after_some_visits(visits, kept):
    """As `resbatch bench cache` and `bench saving` measure it."""
    costs = [block.forward for block in block_costs(small_resnet((28, 28, 1), 10))[:4]]
    placement, _ = choose(costs, 7 * 7 * 256 * 4, visits, state=EMPTY, find_placement=anywhere)
    assert (placement is not None) == kept


def test_what_is_kept_is_carried_forward_if_there_is_room_for_both():
    older = CacheState(depth=2, row_bytes=SIZE, bytes=1000, store=MEMORY)

    def chosen(visits, find_placement):
        return choose(COSTS, SIZE, visits, state=older, find_placement=find_placement)

    assert chosen(10, anywhere) == (anywhere(0, 0), True)

    def beside_nothing(row_bytes, beside):
        return None if beside else Placement(MEMORY, 100)

    assert chosen(100, beside_nothing) == (anywhere(0, 0), False)
    # Filling anew would cost more than computing one block each time.
    assert chosen(3, beside_nothing)[0] is None


def test_what_must_be_kept_is_kept_although_it_does_not_pay():
    for find_placement, expected in ((anywhere, anywhere(0, 0)), (nowhere, None)):
        placement, _ = choose(COSTS, SIZE, 0, state=EMPTY, find_placement=find_placement, must=True)
        assert placement == expected


@pytest.mark.parametrize(
    ("kind", "memory", "disk", "expected"),
    [
        (None, 1500, 0, Placement(STORES["memory"], 10)),
        (None, 500, 3000, Placement(STORES["mapped"], 10)),
        (None, 500, 1000, None),
        ("memory", 0, 0, Placement(STORES["memory"], 10)),
        ("compressed", 0, 0, Placement(STORES["compressed"], 10)),
        ("mapped", 9999, 3000, Placement(STORES["mapped"], 10)),
        ("mapped", 9999, 2000, None),
    ],
)
def test_where_there_is_room(monkeypatch, kind, memory, disk, expected):
    monkeypatch.setattr(placement_module, "_free_space", lambda: disk)
    assert Budget(kind, memory, 10).placement(150, 0) == expected


def test_room_for_as_many_as_there_may_be():
    assert Budget(None, 1500, None).placement(150, 0).rows == 10
    assert Budget(None, 1500, None).placement(150, 600).rows == 6
    assert Budget("memory", 1500, None).placement(150, 0).rows == 10
    assert Budget("mapped", 1500, None).placement(150, 0) is None


def test_there_must_be_room_for_what_was_seen():
    assert Budget(None, 1500, None, 10).placement(150, 0).rows == 10
    assert Budget(None, 1500, None, 11).placement(150, 0) is None


def test_without_a_folder_for_temporary_files_there_is_none(monkeypatch):
    def missing():
        raise FileNotFoundError("No usable temporary directory")

    monkeypatch.setattr(placement_module.tempfile, "gettempdir", missing)
    assert Budget(None, 0, 10).placement(150, 0) is None


@pytest.mark.parametrize(
    ("free", "reserved", "models", "memory"),
    [(3000, 0, 1, 1500), (3000, 1000, 1, 1000), (3000, 0, 5, 300), (1000, 3000, 1, 0)],
)
def test_memory_is_what_others_have_not_reserved(monkeypatch, free, reserved, models, memory):
    monkeypatch.setattr(placement_module, "free_memory", lambda: free)
    monkeypatch.setattr(placement_module, "unwritten", lambda: reserved)
    assert memory_for_features(models) == memory


def test_reserved_and_not_written():
    before = feature_stores.unwritten()
    store = MEMORY(10, (100,), np.dtype("uint8"))
    store.write(np.arange(3), np.zeros((3, 100), np.uint8))
    mapped = STORES["mapped"](10, (100,), np.dtype("uint8"))
    assert feature_stores.unwritten() == before + 700
    del store, mapped
    assert feature_stores.unwritten() == before


@pytest.mark.parametrize(
    ("left", "examples", "visits"),
    [
        (100, 3000, 10),
        (math.inf, 3000, machine.MOST_VISITS),
        (5, None, 5),
        (math.inf, None, machine.MOST_VISITS),
        (-3, 9, 0),
    ],
)
def test_visits(left, examples, visits):
    assert count_visits(left, 300, examples) == visits
