import dataclasses
import math

import pytest

from batch import machine
from batch.feature_cache.expected import PrefixStage, spared
from batch.flops import BlockCost

FORWARD = (30, 20, 40, 10)
COSTS = [BlockCost(forward, 0, 0, 0, features=8) for forward in FORWARD]


@pytest.fixture(autouse=True)
def slow(monkeypatch):
    """Computing takes long, so that the cache pays where features are read again."""
    monkeypatch.setattr(machine, "FORWARD_SPEED", 1.0)


@pytest.fixture
def no_disk(monkeypatch):
    monkeypatch.setattr("batch.feature_cache.placement._free_space", lambda: 0)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([(0, 20, 0)], 0),
        # Four iterations an epoch: the first visits compute, the others read.
        ([(0, 20, 1)], 16 * 30),
        ([(0, 8, 1), (8, 20, 3)], 4 * 30 + 4 * 30 + 8 * 90),  # carried forward while it fills
        ([(0, 2, 1), (2, 20, 2)], 12 * 50),  # from the images: the first stage was too short
        ([(0, 6, 0), (6, 20, 2)], 8 * 50),  # within an epoch: until the next one ends
        ([(0, 8, 2), (8, 12, 1), (12, 20, 2)], 4 * 50 + 4 * 50),  # learns again, then one visit
        ([(0, 20, 4)], 16 * 100),  # the classifier, too
    ],
)
def test_the_first_visit_of_each_example_computes(stages, expected):
    run = [PrefixStage(*stage, left=stage[1] - stage[0]) for stage in stages]
    given = {"batch_size": 25, "examples": 100, "kind": None, "memory": 1e9}
    assert spared(COSTS, run, **given) == expected


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_what_is_spared_counts_in_seconds_where_they_were_measured(unit):
    timed = [
        dataclasses.replace(cost, seconds=BlockCost(9 * unit, 0, 0, 0, inference=unit))
        for cost in COSTS
    ]
    run = [PrefixStage(0, 8, 1, 8), PrefixStage(8, 20, 3, 12)]
    given = {"batch_size": 25, "examples": 100, "kind": None, "memory": 1e9}
    found = spared(timed, run, **given)  # what is kept does not depend on them
    assert found == pytest.approx((4 * 1 + 4 * 1 + 8 * 3) * unit)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([(0, 20, 1)], 12 * 30),  # two epochs until both views of all are there
        ([(0, 16, 1), (16, 36, 3)], 8 * 30 + 8 * 30 + 12 * 90),  # carried forward, both views
        ([(0, 6, 0), (6, 20, 2)], 4 * 50),  # within an epoch: until the next one of its view ends
        ([(0, 8, 1)], 0),  # one visit of each view: nothing is kept
    ],
)
def test_every_view_is_computed_once(stages, expected):
    run = [PrefixStage(*stage, left=stage[1] - stage[0]) for stage in stages]
    given = {"batch_size": 25, "examples": 100, "kind": None, "memory": 1e9}
    assert spared(COSTS, run, **given, views=2) == expected


@pytest.mark.usefixtures("no_disk")
def test_views_need_room_for_each():
    run = [PrefixStage(0, 40, 1, math.inf)]
    given = {"batch_size": 25, "examples": 100, "kind": None, "memory": 1600}  # 8 bytes each
    found = [spared(COSTS, run, **given, views=views) for views in (1, 2, 3)]
    assert found == [36 * 30, 32 * 30, 0]


@pytest.mark.parametrize(("kind", "memory", "kept"), [("memory", 0, True), (None, 8, False)])
@pytest.mark.usefixtures("no_disk")
def test_what_has_no_room_is_not_spared(kind, memory, kept):
    run = [PrefixStage(0, 20, 1, math.inf)]
    found = spared(COSTS, run, batch_size=25, examples=100, kind=kind, memory=memory)
    assert bool(found) == kept
