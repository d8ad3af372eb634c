import numpy as np
import pytest

from research.experiments.experiment import Experiment
from research.studies import freezeout
from utils import History


def history(method, accuracy, seconds, seed=0):
    """100 iterations after a first that took 10 s longer, half of them with 2 blocks frozen."""
    times = [seconds / 100] * 100
    times[0] += 10
    return History(method, seed, [1.0] * 100, times, [0] * 50 + [2] * 50, accuracy)


@pytest.fixture
def table():
    labels = ["freezeout cubic, scaled, t_0 0.8", "freezeout linear, unscaled, t_0 0.5"]
    histories = [history("annealed", 0.90, 100.0), history(labels[0], 0.898, 78.0)]
    histories.append(history(labels[1], 0.88, 60.0))
    estimated = {
        "annealed": {"predicted": 0.0, "published": None},
        labels[0]: {"predicted": 0.2, "published": 0.178},
        labels[1]: {"predicted": 0.41, "published": None},
    }
    return freezeout.table(histories, estimated)


def test_all_schedules_of_the_paper_and_one_baseline():
    named = freezeout.experiments(Experiment(model="densenet"))
    assert len(named) == 13
    assert next(iter(named)) == "annealed"
    one = named["freezeout squared, unscaled, t_0 0.5"]
    assert (one.method, one.how_scale, one.scale_lr, one.t_0) == (
        "freezeout",
        "squared",
        False,
        0.5,
    )


def test_claims_are_measured_without_compiling(table):
    assert table["measured saving, %"].tolist() == pytest.approx([0, 22, 40])
    assert table["predicted saving, %"].tolist() == pytest.approx([0, 20, 41])
    assert table["compiling, s"].tolist() == pytest.approx([10, 10, 10])
    assert table["error, %"].tolist() == pytest.approx([10, 10.2, 12])
    assert table["its deviation"].isna().all()
    assert table["relative error, %"].tolist() == pytest.approx([0, 2, 20])
    assert np.isnan(table["published estimate, %"].iloc[2])


def test_statements_say_how_the_claims_fared(table):
    first, second = freezeout.statements(table, 2)
    assert first.endswith("differ by 1.5 points on average, 2.0 at most.")
    assert second.startswith("1 of 2 schedules stay within 3 % relative error")
    assert second.endswith("cubic, scaled, t_0 0.8 saves most, 22.0 %.")
    assert freezeout.statements(table, 1)[1].startswith("With one seed, what errors differ by may")


def test_the_figure_joins_what_was_predicted_and_measured(table):
    figure = freezeout.figure(table)
    axis = figure.axes[0]
    joined = [line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2][2:]
    assert sorted(np.round(one, 6).tolist() for one in joined) == [[20, 22], [41, 40]]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["3 % relative error", "linear, unscaled", "cubic, scaled"]
