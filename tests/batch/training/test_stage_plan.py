import keras
import numpy as np
import pytest

from batch import Constant, FreezeOut, LayerFreezing, MultiStep, machine
from batch.flops import BlockCost
from batch.networks.densenet import densenet
from batch.networks.stochastic_depth import with_stochastic_depth
from batch.networks.wide_resnet import wide_resnet
from batch.schedules.stages import HORIZON, Stage, stages
from batch.training.losses import cross_entropy
from batch.training.optimizers import FusedSGD
from batch.training.preprocessing import Preprocessing
from batch.training.stage_plan import StagePlan, plan_steps
from batch.training.trainer import Trainer

BLOCKS = 20


@pytest.fixture
def costs():
    block = BlockCost(1e6, 1e6, 0, 1e6, products=2)
    return [block] * BLOCKS + [BlockCost(1e3, 1e3, 0, 1e3, products=1)]


def plan(costs, iterations, batch_size=50):
    run = stages(FreezeOut(BLOCKS, iterations, 0.1), iterations, BLOCKS)
    return plan_steps(costs, run, batch_size)


def test_long_stages_get_a_step_each(costs):
    assert plan(costs, 10**6) == [(frozen, frozen) for frozen in range(BLOCKS)]


def test_short_stages_share_one(costs):
    assert plan(costs, 200) == [(0, BLOCKS - 1)]


def test_the_first_stage_is_often_long_enough_for_its_own(costs):
    assert plan(costs, 2_000) == [(0, 0), (1, BLOCKS - 1)]


def test_every_stage_is_in_one_group_whatever_the_length(costs):
    for iterations in (1, 7, 50, 3000, 10**5):
        frozen = [
            stage.frozen for stage in stages(FreezeOut(BLOCKS, iterations, 0.1), iterations, BLOCKS)
        ]
        groups = plan(costs, iterations)
        assert all(
            sum(a <= count <= b for a, b in groups) == 1 for count in frozen if count < BLOCKS
        )


def test_few_blocks_get_a_step_each(costs):
    small = costs[:5] + costs[-1:]
    run = stages(FreezeOut(5, 10, 0.1, degree=1), 10, 5)
    assert plan_steps(small, run, 10) == [(stage.frozen,) * 2 for stage in run]


def test_one_stage_is_one_group(costs):
    assert plan_steps(costs, stages(Constant(BLOCKS, 0.1), 10, BLOCKS), 50) == [(0, 0)]


def test_what_is_frozen_in_the_middle_or_learns_again_is_left_out(costs):
    whole, middle = (True,) * 21, (True, False, *[True] * 19)
    run = [Stage(0, 5, whole), Stage(5, 9, middle), Stage(9, 12, (False,) * 21)]
    assert plan_steps(costs, run, 50) == [(0, 0)]
    again = [Stage(0, 5, (False, *whole[1:])), Stage(5, 9, whole)]
    assert plan_steps(costs, again, 50) == []


@pytest.fixture
def many():
    """A function that makes a trainer of a network that freezes within 12 iterations."""

    def make_trainer(layers, groups, finetune_rate=None):
        network = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        schedule = FreezeOut(
            len(layers) - 1, 12, 0.05, t_0=0.3, degree=2, finetune_rate=finetune_rate
        )
        optimizer = FusedSGD(0.1, momentum=0.9, nesterov=True)
        augmented = Preprocessing(pad=1, flip=True)
        trainer = Trainer(
            network,
            optimizer,
            schedule,
            loss=cross_entropy,
            preprocessing=augmented,
            weight_decay=1e-3,
        )
        trainer.plan.groups = groups
        return trainer

    return make_trainer


def states(trainer):
    """Weights, statistics and slots of each block."""
    return [
        [np.asarray(variable) for variable in (*layer.weights, *optimizer.variables)]
        for layer, optimizer in zip(trainer.network.layers, trainer.optimizers)
    ]


def same(first, second):
    return all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def dense_layers():
    return densenet((8, 8, 1), 3, depth=10, growth_rate=2).layers


def dropping_layers():
    return with_stochastic_depth(wide_resnet((8, 8, 1), 3, 10, 1).layers, 0.5, rule="uniform")


@pytest.mark.parametrize(
    ("layers", "groups"),
    [(dense_layers, [(0, 2), (3, 5)]), (dropping_layers, [(0, 3)])],
)
def test_steps_that_stages_share_train_like_steps_of_their_own(many, placed, layers, groups):
    own, shared = (many(layers(), given, finetune_rate=0.01) for given in ([], groups))
    for _ in range(14):  # in the last two all blocks learn again
        before = states(shared)
        losses = [trainer.step(placed)[0] for trainer in (own, shared)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
        assert own.frozen == shared.frozen
        frozen = shared.frozen
        assert all(map(same, before[:frozen], states(shared)[:frozen]))
    for first, second in zip(own.network.weights, shared.network.weights):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)
    assert len(shared.steps) == len(groups)
    assert len(own.steps) == own.blocks


def test_short_stages_of_many_blocks_share_steps(many, placed):
    trainer = many(densenet((8, 8, 1), 3, depth=16, growth_rate=2).layers, None)
    for _ in range(12):
        trainer.step(placed)
    assert trainer.blocks == 9
    assert trainer.frozen == 8
    assert len(trainer.steps) == len(trainer.plan.groups) < 8


LONG = 10**7  # iterations


class Counted:
    """A schedule that counts how often it is called."""

    def __init__(self, schedule):
        self._schedule = schedule
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self._schedule, name)

    def __call__(self, iteration):
        self.calls += 1
        return self._schedule(iteration)


class Halving:
    """A user's own schedule, which says how long it is and nothing else."""

    iterations = LONG

    def __call__(self, iteration):
        return np.full(3, 0.1 * 0.5 ** (10 * iteration // LONG))


@pytest.mark.parametrize("few", [8, 2])  # stages with a step of their own, and planned ones
@pytest.mark.parametrize(
    ("schedule", "most"),
    [
        (FreezeOut(3, LONG, 0.1), 20),
        (FreezeOut(3, LONG, 0.1, finetune_rate=0.01), 20),
        (LayerFreezing(3, LONG, 0.1, every=1000), 20),
        (MultiStep(3, LONG, 0.1), 20),
        (Constant(3, 0.1), 20),
        (Halving(), HORIZON + 20),
    ],
)
def test_planning_calls_a_long_schedule_a_few_times(blocks, monkeypatch, few, schedule, most):
    monkeypatch.setattr(machine, "FEW_BLOCKS", few)
    counted = Counted(schedule)
    network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    stage_plan = StagePlan(counted, network, [True] * 4)
    assert stage_plan.active(stage_plan.rates_at(0), batch_size=20) == (True,) * 4
    end = stage_plan.stage_end(0)
    assert 0 < counted.calls <= most
    before = counted.calls
    for iteration in range(1, 100):  # the end of the stage is known
        assert stage_plan.stage_end(iteration) == end
    assert counted.calls == before
