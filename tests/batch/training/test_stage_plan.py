import pytest

from batch import Constant, FreezeOut
from batch.flops import BlockCost
from batch.schedules.stages import Stage, stages
from batch.training.stage_plan import plan_steps

BLOCKS = 20


@pytest.fixture
def costs():
    block = BlockCost(1e6, 1e6, 0, 1e6, products=2)
    return [block] * BLOCKS + [BlockCost(1e3, 1e3, 0, 1e3, products=1)]


def plan(costs, iterations, batch_size=50):
    run = stages(FreezeOut(BLOCKS, iterations, 0.1), iterations)
    return plan_steps(costs, run, batch_size)


def test_long_stages_get_a_step_each(costs):
    assert plan(costs, 10**6) == [(frozen, frozen) for frozen in range(BLOCKS)]


def test_short_stages_share_one(costs):
    assert plan(costs, 200) == [(0, BLOCKS - 1)]


def test_the_first_stage_is_often_long_enough_for_its_own(costs):
    assert plan(costs, 2_000) == [(0, 0), (1, BLOCKS - 1)]


def test_every_stage_is_in_one_group_whatever_the_length(costs):
    for iterations in (1, 7, 50, 3000, 10**5):
        frozen = [stage.frozen for stage in stages(FreezeOut(BLOCKS, iterations, 0.1), iterations)]
        groups = plan(costs, iterations)
        assert all(sum(a <= one <= b for a, b in groups) == 1 for one in frozen if one < BLOCKS)


def test_few_blocks_get_a_step_each(costs):
    small = costs[:5] + costs[-1:]
    run = stages(FreezeOut(5, 10, 0.1, degree=1), 10)
    assert plan_steps(small, run, 10) == [(stage.frozen,) * 2 for stage in run]


def test_one_stage_is_one_group(costs):
    assert plan_steps(costs, stages(Constant(BLOCKS, 0.1), 10), 50) == [(0, 0)]


def test_what_is_frozen_in_the_middle_or_learns_again_is_left_out(costs):
    whole, middle = (True,) * 21, (True, False, *[True] * 19)
    run = [Stage(0, 5, whole), Stage(5, 9, middle), Stage(9, 12, (False,) * 21)]
    assert plan_steps(costs, run, 50) == [(0, 0)]
    again = [Stage(0, 5, (False, *whole[1:])), Stage(5, 9, whole)]
    assert plan_steps(costs, again, 50) == []
