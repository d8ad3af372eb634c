import math

import numpy as np
import pytest

from batch.checks import not_negative
from batch.schedules.freezeout import Annealed, FreezeOut, degree_of, iterations_of
from batch.schedules.rates import Constant, MultiStep
from batch.schedules.stages import Stage, iterations_left, leading_frozen, stages


def test_last_iterations_of_the_study():
    linear = FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False)
    squared = FreezeOut(5, 300, 0.06, t_0=0.6, degree=2, scaled=False)
    cubic = FreezeOut(5, 300, 0.06, t_0=0.6, degree=3, scaled=False)
    assert linear.last_iterations.tolist() == [180, 210, 240, 270, 300]
    np.testing.assert_allclose(squared.last_iterations, [108, 147, 192, 243, 300], rtol=1e-12)
    np.testing.assert_allclose(cubic.last_iterations, [64.8, 102.9, 153.6, 218.7, 300], rtol=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("scaled", [False, True])
def test_rates_equal_the_formula(degree, scaled):
    blocks, iterations, rate, t_0 = 4, 77, 0.1, 0.5
    schedule = FreezeOut(blocks, iterations, rate, t_0, degree, scaled)
    for iteration in (0, 1, 10, 38, 39, 60, 76, 77, 100):
        expected = []
        for block in range(blocks):
            ratio = (t_0 + (1 - t_0) * block / (blocks - 1)) ** degree
            last, initial = iterations * ratio, rate / ratio if scaled else rate
            cosine = 0.5 * initial * (1 + math.cos(math.pi * iteration / last))
            expected.append(cosine if iteration < last else 0.0)
        np.testing.assert_allclose(schedule(iteration), expected, rtol=0, atol=1e-12)
        assert schedule(iteration).dtype == np.float64


def test_a_block_is_frozen_from_its_last_iteration_on():
    schedule = FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False)
    frozen = [leading_frozen(schedule(iteration)) for iteration in range(302)]
    assert [frozen.index(count) for count in range(1, 6)] == [180, 210, 240, 270, 300]
    assert frozen[301] == 5


def test_finetune_rate_wakes_every_block_after_the_last_iteration():
    schedule = FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False, finetune_rate=0.01)
    assert schedule(299)[-1] > 0
    assert schedule(299)[0] == 0
    assert schedule(300).tolist() == [0.01] * 5


def test_annealed_is_the_last_blocks_curve():
    settings = {"t_0": 0.6, "degree": 3, "scaled": True, "finetune_rate": 0.01}
    freezeout, annealed = FreezeOut(5, 300, 0.06, **settings), Annealed(5, 300, 0.06, **settings)
    for iteration in (0, 64, 65, 299, 300):
        assert annealed(iteration).tolist() == [freezeout(iteration)[-1]] * 5
    assert annealed.last_iterations.tolist() == [300] * 5


def test_constant_never_changes():
    assert Constant(3, 0.03)(0).tolist() == Constant(3, 0.03)(10**6).tolist() == [0.03] * 3


def test_milestones_of_the_run():
    schedule = MultiStep(3, 200, 0.1)
    rates = [schedule(iteration)[0] for iteration in (0, 59, 60, 119, 120, 159, 160, 999)]
    expected = [0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert schedule(0).shape == (3,)
    assert MultiStep(1, 7, 1.0, (), 0.2)(6).tolist() == [1.0]
    # 3 · 0.1 is 0.30000000000000004: the milestone is iteration 3 all the same.
    assert MultiStep(1, 10, 1.0, (3 * 0.1,), 0.5)(3).tolist() == [0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"milestones": (0.6, 0.3)}, r"must be rising shares .* Received: \[0.6, 0.3\]"),
        ({"milestones": (0.5, 0.5)}, "must be rising shares"),
        ({"milestones": (60, 120)}, r"at most 1\. Received: \[60, 120\]"),
        ({"milestones": (0.0,)}, "milestones must be a finite number above 0"),
        ({"gamma": 0}, "gamma must be a finite number above 0"),
        ({"iterations": 0}, "iterations must be"),
    ],
)
def test_bad_milestones_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MultiStep(**{"blocks": 2, "iterations": 10, "learning_rate": 0.1, **options})


def test_one_block_stops_with_the_run():
    assert FreezeOut(1, 10, 0.1).last_iterations.tolist() == [10]


def test_config_makes_the_same_schedule_again():
    for schedule in (
        FreezeOut(5, 300, 0.06, 0.6, 1, False, 0.01),
        Annealed(5, 30, 1),
        Constant(2, 1),
        MultiStep(2, 10, 0.1, [0.5], 0.1),
    ):
        again = type(schedule)(**schedule.get_config())
        assert again(7).tolist() == schedule(7).tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blocks", 0),
        ("blocks", 2.5),
        ("iterations", 0),
        ("iterations", -3),
        ("iterations", True),
        ("iterations", "300"),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("t_0", 0),
        ("t_0", 1.1),
        ("degree", 4),
        ("degree", True),
        ("scaled", "False"),
        ("finetune_rate", -0.1),
    ],
)
def test_bad_parameters_are_refused_with_what_was_received(name, value):
    settings = {"blocks": 5, "iterations": 300, "learning_rate": 0.06, name: value}
    with pytest.raises(ValueError, match=rf"{name} must be .* Received: {value!r}"):
        FreezeOut(**settings)


def test_schedules_in_epochs_have_the_iterations_that_the_data_take():
    made = FreezeOut.from_epochs(4, 3, examples=1347, batch_size=50, how_scale="squared", t_0=0.5)
    assert made.iterations == math.ceil(3 * 1347 / 50) == 81
    by_hand = FreezeOut(4, 81, 0.1, t_0=0.5, degree=2, scaled=True)
    assert made.get_config() == by_hand.get_config()
    unscaled = FreezeOut.from_epochs(4, 1, 10, 1, 0.2, "linear", scale_lr=False)
    assert unscaled(0).tolist() == [0.2] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 10, 1), "epochs"), ((1, 0, 1), "examples"), ((1, 10, 0.5), "batch_size")],
)
def test_epochs_of_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"{message} must be"):
        iterations_of(*arguments)


def test_spacings_by_name():
    assert [degree_of(name) for name in ("linear", "squared", "cubic")] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"linear, squared, cubic\. Received: 'quartic'"):
        degree_of("quartic")


def test_stages_of_a_run():
    schedule = FreezeOut(3, 10, 0.1, t_0=0.5, degree=1, scaled=False)  # stops at 5, 7.5, 10
    assert stages(schedule, 12) == [
        Stage(0, 5, (True, True, True, True)),
        Stage(5, 8, (False, True, True, True)),
        Stage(8, 10, (False, False, True, True)),
        Stage(10, 12, (False, False, False, False)),
    ]
    assert [stage.frozen for stage in stages(schedule, 12)] == [0, 1, 2, 3]
    assert stages(Constant(2, 0.1), 7) == [Stage(0, 7, (True, True, True))]


def test_numbers_of_zero_or_more():
    assert [not_negative("it", value) for value in (0, 1e-4)] == [0.0, 1e-4]
    for value in (-1, math.nan, True, False, "0"):
        with pytest.raises(ValueError, match="it must be a finite number, 0 or more"):
            not_negative("it", value)


@pytest.mark.parametrize(
    ("iteration", "left"), [(0, 6), (5, 1), (6, 3), (9, 3), (11, 1), (12, np.inf), (40, np.inf)]
)
def test_iterations_left_until_other_blocks_are_frozen(iteration, left):
    schedule = FreezeOut(3, 12, 0.1, t_0=0.5, degree=1)  # stops after 6, 9 and 12
    assert iterations_left(schedule, lambda at: leading_frozen(schedule(at)), iteration) == left


def test_iterations_left_are_not_known_of_schedules_without_an_end():
    constant = Constant(3, 0.1)
    assert iterations_left(constant, lambda _: 0, 5) == np.inf
    watching = FreezeOut(3, 12, 0.1)
    watching.observe = print
    assert iterations_left(watching, lambda _: 0, 4) == 8
