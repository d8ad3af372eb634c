import dataclasses

import pytest

from batch.flops import block_costs
from batch.schedules import make_schedule
from research import compare
from research.experiments.experiment import Experiment, make_model
from research.experiments.prediction import own_length, predicted_ratio
from research.running.comparison import of_methods
from utils import load_data


@pytest.fixture(scope="module")
def costs():
    return block_costs(make_model(Experiment(), load_data("digits")).network)


@pytest.mark.parametrize(
    ("settings", "iterations"),
    [
        ({"iterations": 150}, 139),  # 0.92476 of the time
        ({"iterations": 300}, 277),
        ({"iterations": 150, "how_scale": "cubic"}, 123),  # 0.81875
        ({"iterations": 150, "how_scale": "cubic", "t_0": 0.5, "finetune_rate": None}, 118),
        ({"iterations": 150, "freeze_iterations": 75}, 145),  # all blocks learn in the second half
        ({"iterations": 1}, 1),
    ],
)
def test_it_takes_the_time_that_freezeout_should_take(costs, settings, iterations):
    whole = Experiment(method="shorter", **settings)
    shorter = own_length(whole, costs)
    assert shorter.iterations == iterations
    freezeout = predicted_ratio(dataclasses.replace(whole, method="freezeout"), costs)
    assert iterations == round(freezeout * whole.iterations)
    ratio = predicted_ratio(shorter, costs, whole.iterations)
    assert ratio == pytest.approx(iterations / whole.iterations, rel=1e-12)
    assert ratio == pytest.approx(freezeout, abs=0.5 / whole.iterations)


def test_its_schedule_ends_with_its_own_run(costs):
    whole = Experiment(method="shorter", iterations=100, freeze_iterations=80, t_0=0.5)
    shorter = own_length(whole, costs)
    schedule = make_schedule(shorter.method_config(5)["schedule"], 5)
    assert schedule.last_iterations.tolist() == [shorter.iterations] * 5
    annealed = Experiment(method="annealed", iterations=shorter.iterations)
    expected = make_schedule(annealed.method_config(5)["schedule"], 5)
    rates = [expected(iteration).tolist() for iteration in range(shorter.iterations)]
    assert [schedule(iteration).tolist() for iteration in range(shorter.iterations)] == rates


def test_others_keep_the_length_that_was_asked_for(costs):
    classic = Experiment(iterations=100)
    assert own_length(classic, costs) is classic


def test_a_comparison_from_python_trains_it_shorter():
    base = Experiment(iterations=6, batch_size=20, how_scale="cubic")
    named = of_methods(base, ["annealed", "shorter"])
    annealed, shorter = compare(named, [0], load_data("digits"), quiet=True)
    assert (len(annealed), len(shorter)) == (6, 5)
    assert annealed.loss[0] == shorter.loss[0]
    assert (annealed.method, shorter.method) == ("annealed", "shorter")
