import numpy as np
import pytest

from research.experiments.experiment import Experiment
from research.studies import saving
from utils import History


def history(method, accuracy, seconds, seed):
    return History(method, seed, [1.0] * 4, [seconds / 4] * 4, [0] * 4, accuracy)


def schedule(experiment):
    return experiment.method_config(5)["schedule"][1]


@pytest.fixture
def table():
    runs = {
        "annealed": (0.99, 100.0),
        "freezeout cubic, t_0 0.35": (0.97, 60.0),
        "freezeout cubic, t_0 0.7": (0.9895, 80.0),
        "freezeout linear, t_0 0.3": (0.9892, 90.0),
        "autofreeze": (0.98, 70.0),
        "annealed fewer iterations, 0.6": (0.99, 50.0),
    }
    histories = [
        history(label, accuracy + 0.0002 * seed * (label != "annealed"), seconds, seed)
        for seed in range(2)
        for label, (accuracy, seconds) in runs.items()
    ]
    facts = {label: {"predicted": None if label == "autofreeze" else 0.1} for label in runs}
    return saving.table(histories, facts)


def test_the_baseline_the_schedules_and_shorter_runs():
    named = saving.experiments(Experiment(iterations=100))
    assert next(iter(named)) == "annealed"
    assert schedule(named["freezeout cubic, t_0 0.35"])["t_0"] == 0.35
    shorter = named["annealed fewer iterations, 0.6"]
    assert (shorter.method, shorter.iterations, schedule(shorter)["iterations"]) == (
        "annealed",
        60,
        60,
    )
    assert len(named) == 2 + len(saving.SCHEDULES) + len(saving.SHORTER)


def test_savings_and_differences_are_to_the_baseline(table):
    assert table["schedule"][0] == "annealed (nothing frozen)"
    assert table["measured saving, %"].tolist() == pytest.approx([0, 40, 20, 10, 30, 50])
    assert table["difference, points"].tolist() == pytest.approx(
        [0, -1.99, -0.04, -0.07, -0.99, 0.01]
    )
    assert (table["interval from"][1:] < table["to"][1:]).all()
    assert np.isnan(table["predicted saving, %"]).tolist() == [False] * 4 + [True, False]


def test_the_best_schedule_within_the_bound_is_named(table):
    said, shorter = saving.statements(table, 2)
    assert said.startswith("2 of 4 schedules stay within 0.1 points of the baseline; of these, ")
    assert said.endswith("cubic, t_0 0.7 saves most, 20.0 % of the time, at -0.04 points.")
    assert shorter.startswith("1 of 1 shorter runs of it stay within")
    assert saving.statements(table.iloc[:2], 1) == [
        "With one seed, differences may be chance.",
        "0 of 1 schedules stay within 0.1 points of the baseline.",
    ]


def test_schedules_of_which_all_seeds_agree_are_named(table):
    table.loc[2, ["interval from", "to"]] = np.nan
    *_, last = saving.statements(table, 2)
    assert last == "No interval where all seeds agree: cubic, t_0 0.7."


def test_the_figure_has_a_curve_a_spacing_and_one_of_shorter_runs(table):
    figure = saving.figure(table)
    axis = figure.axes[0]
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {
        *("0.1 points lost", "cubic", "linear", "autofreeze", "annealed, fewer iterations")
    }
    told = {text.get_text(): text.xy[0] for text in axis.texts}
    assert told == pytest.approx({"0.35": 40, "0.7": 20, "0.3": 10, "": 30, "0.6": 50})
