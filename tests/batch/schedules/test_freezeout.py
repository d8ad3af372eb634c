import math

import numpy as np
import pytest

from batch.schedules.freezeout import (
    Annealed,
    FreezeOut,
    calc_speedup,
    degree_of,
    iterations_of,
)
from batch.schedules.rates import Constant, MultiStep
from batch.schedules.stages import leading_frozen


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


LAYERS = {  # of the authors' three architectures, the classifier not counted
    "densenet76": 1 + 3 * 12 + 2,  # stem, dense layers, transitions
    "wrn16": 1 + 3 * 2,  # stem and blocks
    "wrn28": 1 + 3 * 4,
    "vgg16": 13,  # convolutions
}


@pytest.mark.parametrize("network", LAYERS)
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_with_the_classifier_counted_layers_stop_as_in_the_authors_program(network, degree):
    blocks, iterations, t_0 = LAYERS[network], 100_000, 0.8
    # max_j = epochs · 1000 · scale_fn(t_0 + (1 − t_0) · layer_index / classifier's layer_index)
    expected = [iterations * (t_0 + (1 - t_0) * i / blocks) ** degree for i in range(blocks)]
    theirs = FreezeOut(blocks, iterations, 0.1, t_0, degree, count_classifier=True)
    ours = FreezeOut(blocks, iterations, 0.1, t_0, degree)
    np.testing.assert_allclose(theirs.last_iterations, expected, rtol=1e-12)
    assert (ours.last_iterations[1:] > theirs.last_iterations[1:]).all()
    rates, last = theirs(1234), np.append(theirs.last_iterations, iterations)
    initial = 0.1 / (last / iterations)
    assert rates.shape == (blocks + 1,)
    np.testing.assert_allclose(rates, 0.5 * initial * (1 + np.cos(np.pi * 1234 / last)), rtol=1e-12)


def test_a_counted_classifier_learns_after_the_last_block_has_stopped():
    schedule = FreezeOut(2, 10, 0.1, 0.5, 1, scaled=False, count_classifier=True)
    assert schedule.last_iterations.tolist() == [5.0, 7.5]
    assert (schedule(8) > 0).tolist() == [False, False, True]
    assert schedule(10).tolist() == [0.0, 0.0, 0.0]
    tuned = FreezeOut(2, 10, 0.1, 0.5, finetune_rate=0.01, count_classifier=True)
    assert tuned(10).tolist() == [0.01] * 3
    baseline = Annealed(2, 10, 0.1, 0.5, 1, False, count_classifier=True)
    assert baseline(7).tolist() == [schedule(7)[-1]] * 2


def test_one_block_stops_with_the_run():
    assert FreezeOut(1, 10, 0.1).last_iterations.tolist() == [10]


def test_config_makes_the_same_schedule_again():
    for schedule in (
        FreezeOut(5, 300, 0.06, 0.6, 1, False, 0.01),
        FreezeOut(5, 300, 0.06, count_classifier=True),
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
        ("count_classifier", 1),
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
    unscaled = FreezeOut.from_epochs(
        4, 1, 10, batch_size=1, learning_rate=0.2, how_scale="linear", scale_lr=False
    )
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
    with pytest.raises(ValueError, match=r"linear, squared or cubic\. Received: 'quartic'"):
        degree_of("quartic")


@pytest.mark.parametrize(("t_0", "expected"), [(0.8, [9.0, 12.8, 17.8]), (0.5, [22.5, 28.0, 34.8])])
def test_the_published_figures(t_0, expected):
    shares = [calc_speedup(12, 76, t_0, spacing) for spacing in ("linear", "squared", "cubic")]
    assert [round(100 * share, 1) for share in shares] == expected


def test_nothing_is_saved_by_freezing_at_the_end():
    assert calc_speedup(12, 40, 1.0, "cubic") == pytest.approx(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((12, 75, 0.8, "cubic"), r"depth must be 6n \+ 4"), ((12, 76, 0.8, "quartic"), "how_scale")],
)
def test_what_the_formula_does_not_know_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        calc_speedup(*arguments)
