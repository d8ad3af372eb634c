import numpy as np
import pytest

from research.experiments.experiment import Experiment
from research.studies import momentum
from research.verdicts.labels import describe
from utils import History

SCHEDULES = ("annealed", "freezeout linear", "freezeout cubic")


def made(seeds):
    """The rate outside is better by 0.5, 0 and −0.5 points, and over seeds by what scatters."""
    return [
        History(f"{schedule}, rate {form}", seed, [1.0 + place, 2.0], [1.0, 1.0], [0, 0], accuracy)
        for seed in range(seeds)
        for place, (schedule, gain) in enumerate(zip(SCHEDULES, (0.005, 0.0, -0.005)))
        for form, accuracy in (
            ("outside", 0.9 + gain + 0.0002 * (-1) ** seed),
            ("inside", 0.9),
        )
    ]


def test_both_forms_of_the_methods_own_optimizer():
    named = momentum.experiments(Experiment(iterations=100))
    assert list(named) == [f"{name}, rate {form}" for name in SCHEDULES for form in momentum.FORMS]
    for label, run in named.items():
        settings = {"momentum": 0.9, "nesterov": True, "rate_outside": label.endswith("outside")}
        assert run.optimizer == ("SGD", settings)
    assert named["freezeout cubic, rate inside"].how_scale == "cubic"
    given = momentum.experiments(Experiment(iterations=100, momentum=0.5))
    assert {run.optimizer[1]["momentum"] for run in given.values()} == {0.5}


def test_the_baseline_of_a_run_has_its_form():
    described = describe(momentum.experiments(Experiment(iterations=100)))
    for label, facts in described.items():
        form = label.rpartition(" ")[2]
        matched = "classic" if label.startswith("annealed") else f"annealed, rate {form}"
        assert facts["baseline"] == matched


def test_differences_are_paired_over_seeds():
    table = momentum.table(made(4), {})
    assert table["schedule"].tolist() == list(SCHEDULES)
    assert table["difference, points"].tolist() == pytest.approx([0.5, 0, -0.5])
    reach = 3.1824 * np.std([0.02, -0.02] * 2, ddof=1) / 2  # Student's t of 3 degrees over √4
    assert table["to"].tolist() == pytest.approx([0.5 + reach, reach, reach - 0.5], rel=1e-3)
    assert table["mean loss, outside"].tolist() == [1.5, 2.0, 2.5]
    assert momentum.statements(table, 4) == [
        "annealed: the rate outside is better (+0.50 points).",
        "freezeout linear: any difference may be chance (+0.00 points).",
        "freezeout cubic: the rate inside is better (-0.50 points).",
    ]


def test_one_seed_says_nothing():
    table = momentum.table(made(1), {})
    assert table["interval from"].isna().all()
    assert momentum.statements(table, 1) == ["With one seed, differences may be chance."]


def test_the_figure_has_a_line_a_schedule():
    axis = momentum.figure(momentum.table(made(3), {})).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == list(SCHEDULES)
