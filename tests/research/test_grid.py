"""Every setting of a grid is a method of the comparison."""

import argparse

import pytest

from research import grid
from research.experiments.experiment import Experiment
from research.figures import settings
from research.running.comparison import of_methods
from research.verdicts import labels
from research.verdicts.statistics import summarize
from utils import History

BASE = Experiment(iterations=20, batch_size=5)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("t_0=0.5,0.8", ("t_0", (0.5, 0.8))),
        ("how_scale=linear,cubic", ("how_scale", ("linear", "cubic"))),
        ("scale-lr=yes,false", ("scale_lr", (True, False))),
        ("freeze_every=2, 5", ("freeze_every", (2, 5))),
        ("survival=0.5,1", ("survival", (0.5, 1.0))),
    ],
)
def test_an_option_and_its_values(text, values):
    assert grid.axis(text) == values


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("t0=0.5,0.8", r"must be an option of .*t_0.*, not 't0=0\.5,0\.8'\. Did you mean 't_0'\?"),
        ("cache=off,auto", "must be an option of"),
        ("milestones=0.5,0.6", "must be an option of"),
        ("t_0=0.5", "must give t_0 two values or more, not '0.5'"),
        ("t_0=0.5,0.50", "two values or more"),
        ("t_0=0.5,2", "t_0 must be a number above 0, at most 1, not '2'"),
        ("t_0", "t_0 must be a number above 0, at most 1, not ''"),
        ("how_scale=linear,cubed", "how_scale must be one of linear, squared, cubic, not 'cubed'"),
        ("scale_lr=1,0", "scale_lr must be one of true, yes, false, no, not '1'"),
        ("freeze_every=0,1", "freeze_every must be a whole number above 0, not '0'"),
    ],
)
def test_what_is_no_option_with_values_is_refused(text, error):
    with pytest.raises(argparse.ArgumentTypeError, match=error):
        grid.axis(text)


def test_settings_are_methods_of_those_that_read_them():
    named = of_methods(BASE, ["classic", "annealed", "freezeout", "shorter"])
    axes = {"t_0": (0.5, 0.8), "how_scale": ("linear", "cubic")}
    expanded, settings = grid.expanded(named, axes)
    combined = [
        f"t_0={t_0}, how_scale={how_scale}" for t_0 in (0.5, 0.8) for how_scale in axes["how_scale"]
    ]
    own = [f"{method} {text}" for method in ("freezeout", "shorter") for text in combined]
    assert list(expanded) == ["classic", "annealed", *own]
    assert list(settings) == own
    for label, values in settings.items():
        assert {name: getattr(expanded[label], name) for name in axes} == values
    assert len({(run.label, run.t_0, run.how_scale) for run in expanded.values()}) == 10
    facts = labels.describe(expanded)
    assert {facts[label]["baseline"] for label in own} == {"annealed"}


def test_a_baseline_has_the_settings_of_its_method():
    named = of_methods(BASE, ["classic", "annealed", "freezeout"])
    expanded, _ = grid.expanded(named, {"freeze_iterations": (10, 15), "t_0": (0.5, 0.8)})
    facts = labels.describe(expanded)
    for label, own in facts.items():
        if label.startswith("freezeout"):
            length = expanded[label].freeze_iterations
            assert own["baseline"] == f"annealed freeze_iterations={length}"
    assert facts["annealed freeze_iterations=15"]["baseline"] == "classic"


def test_a_heat_map_has_a_cell_for_each_setting():
    axes = {"t_0": (0.5, 0.8), "how_scale": ("linear", "cubic")}
    named, values = grid.expanded(of_methods(BASE, ["annealed", "freezeout"]), axes)
    better = dict.fromkeys(named, 0.5) | {"freezeout t_0=0.8, how_scale=linear": 0.75}
    seconds = dict.fromkeys(named, 1.0) | {"annealed": 2.0}
    histories = [
        History(label, seed, [1.0], [seconds[label]], [0], better[label])
        for label in named
        for seed in (0, 1)
    ]
    record = {"grid": values, "methods": labels.describe(named)}
    summary = summarize(histories, {}, record["methods"])
    drawn = settings.drawn(histories, record, summary)
    cells = drawn.data.set_index(["row", "column"])
    assert list(cells.index) == [
        (f"t_0={t_0}", f"how_scale={how_scale}")
        for t_0 in (0.5, 0.8)
        for how_scale in ("linear", "cubic")
    ]
    assert cells["difference, points"].tolist() == [0, 0, 25, 0]
    assert cells["time, %"].tolist() == [-50] * 4
    assert "freezeout t_0=0.8, how_scale=linear: +25.00 points, -50 % time." in drawn.text
    assert [text.get_text() for text in drawn.figure.axes[0].texts][2] == "+25.00\n-50 % time"
    assert settings.drawn(histories, {}, summary) is None
    assert settings.drawn(histories[2:], record, summarize(histories[2:], {})) is None
