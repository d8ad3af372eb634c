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


@pytest.mark.parametrize(("kind", "memory", "kept"), [("memory", 0, True), (None, 8, False)])
def test_what_has_no_room_is_not_spared(kind, memory, kept, monkeypatch):
    monkeypatch.setattr("batch.feature_cache.placement._free_space", lambda: 0)
    run = [PrefixStage(0, 20, 1, math.inf)]
    found = spared(COSTS, run, batch_size=25, examples=100, kind=kind, memory=memory)
    assert bool(found) == kept
