import numpy as np
import pytest

from research.experiments.experiment import Experiment
from research.studies import texts, views
from utils import History

RUNS = {  # accuracy over the baseline's, seconds, share of what was read
    "annealed without views": (0.01, 12.0, None),
    views.BASELINE: (0.0, 10.0, None),
    "freezeout with 1 view": (-0.02, 5.0, 0.9),
    "freezeout with 4 views": (0.0005, 8.0, 0.5),
}


def made(seeds, scatter=0.001):
    return [
        History(
            *(label, seed, [1.0, 1.0], [seconds / 2] * 2, [0, 0]),
            0.7 + gain + scatter * (-1) ** seed * (label != views.BASELINE),
            read and {"asked": 200, "hits": int(200 * read)},
        )
        for seed in range(seeds)
        for label, (gain, seconds, read) in RUNS.items()
    ]


def test_what_is_run():
    base = Experiment(iterations=100, normalize=True, batch_size=50)
    named = views.experiments(base)
    assert {label: run.views for label, run in named.items()} == {
        "annealed without views": None,
        "freezeout without views": None,
        "freezeout with 1 view": 1,
        **{f"freezeout with {count} views": count for count in (4, 8, 16)},
    }
    for label, run in named.items():
        assert (run.augment, run.normalize, run.batch_size) == (True, True, 50)
        assert run.label == label.split(" ")[0]
        if run.label == "freezeout":
            assert (run.how_scale, run.scale_lr, run.t_0) == ("cubic", False, 0.25)


def test_costs_and_savings_are_to_the_same_training_without_views():
    table = views.table(made(6), {})
    assert table["run"].tolist() == list(RUNS)
    assert table["difference, points"].tolist() == pytest.approx([1, 0, -2, 0.05], abs=1e-9)
    reach = 2.5706 * np.std([0.1, -0.1] * 3, ddof=1) / np.sqrt(6)  # Student's t of 5 degrees
    assert table["to"].tolist()[2] == pytest.approx(reach - 2, rel=1e-3)
    assert table["time saved, %"].tolist() == pytest.approx([-20, 0, 50, 20])
    assert table["read from the cache, %"].tolist() == pytest.approx([0, 0, 90, 50])
    assert views.statements(table, 6) == [
        "annealed without views: 20.0 % more time than freezeout without views, +1.00 points "
        f"(from {1 - reach:+.2f} to {1 + reach:+.2f}).",
        "freezeout with 1 view: 50.0 % less time than freezeout without views, -2.00 points "
        f"(from {-2 - reach:+.2f} to {reach - 2:+.2f}).",
        "freezeout with 4 views: 20.0 % less time than freezeout without views, +0.05 points "
        f"(from {0.05 - reach:+.2f} to {0.05 + reach:+.2f}, which may be chance).",
    ]
    assert texts(views, table).iloc[1]["from"] == "–"


def test_one_seed_says_nothing():
    table = views.table(made(1, scatter=0), {})
    assert table[["from", "to", "deviation"]].isna().all(axis=None)
    first, *others = views.statements(table, 1)
    assert first == "With one seed, differences may be chance."
    assert others[1].endswith("-2.00 points.")


def test_few_seeds_give_no_interval_in_words():
    said = views.statements(views.table(made(4), {}), 4)
    assert said[1].endswith("-2.00 points (4 seeds, too few for an interval).")


def test_seeds_that_agree_have_no_interval():
    said = views.statements(views.table(made(3, scatter=0), {}), 3)
    assert [text.endswith("points (all seeds agree).") for text in said] == [True] * 3


def test_the_figure_has_a_point_a_run():
    figure = views.figure(views.table(made(3), {}))
    axis = figure.axes[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(RUNS)
    assert [text.get_text() for text in axis.texts] == [
        run.split()[2] for run in RUNS if "with " in run
    ]
