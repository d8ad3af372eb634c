import pytest

from research import studies
from research.experiments.experiment import Experiment
from research.studies import wide_resnet
from utils import History


@pytest.fixture
def table():
    facts, histories = {}, []
    for label, width, block, seconds, accuracies in (
        ("classic WRN-16-1", 1, "B(3,3)", 0.1, (0.40, 0.44, 0.50)),
        ("classic WRN-16-2", 2, "B(3,3)", 0.3, (0.50, 0.52, 0.53)),
        ("classic WRN-22-2 B(3,1)", 2, "B(3,1)", 0.2, (0.51, 0.55, 0.61)),
    ):
        facts[label] = {"parameters": 1e6 * width, "flops": 2e8 * width}
        facts[label] |= {"width": width, "block": block}
        for seed, accuracy in enumerate(accuracies):
            times = [5.0, seconds, seconds]  # the first compiles
            histories.append(History(label, seed, [1.0] * 3, times, [0] * 3, accuracy))
    return wide_resnet.table(histories, facts)


def test_widths_and_types_of_the_paper():
    base = Experiment(model="wideresnet", model_options={"depth": 28, "dropout": 0.3})
    named = wide_resnet.experiments(base)
    assert list(named)[:4] == [f"classic WRN-28-{width}" for width in (1, 2, 3, 4)]
    assert list(named)[4:] == [
        *("classic WRN-40-2 B(1,3,1)", "classic WRN-40-2 B(3,1)", "classic WRN-40-2 B(1,3)"),
        *("classic WRN-40-2 B(3,1,1)", "classic WRN-22-2 B(3,1,3)"),
    ]
    one = named["classic WRN-22-2 B(3,1,3)"]
    assert one.method == "classic"
    expected = {"depth": 22, "widen_factor": 2, "block": "B(3,1,3)", "dropout": 0.3}
    assert one.model_options == expected


def test_rows_are_medians_over_seeds(table):
    assert table.network.tolist() == ["WRN-16-1", "WRN-16-2", "WRN-22-2 B(3,1)"]
    assert table["median error, %"].tolist() == pytest.approx([56, 48, 45])
    assert table["lowest"].tolist() == pytest.approx([50, 47, 39])
    assert table["highest"].tolist() == pytest.approx([60, 50, 49])
    assert table["seconds a step"].tolist() == pytest.approx([0.1, 0.3, 0.2])
    assert table["accuracy, %"].iloc[0] == pytest.approx(134 / 3)
    assert table["its deviation"].iloc[0] == pytest.approx(5.0332, abs=1e-4)
    assert table["in the paper, %"].tolist()[1:] == [5.73, 5.78]


def test_statements_compare_widths_and_types(table):
    widths, types = wide_resnet.statements(table, 3)
    assert widths == (
        "From WRN-16-1 to WRN-16-2, the median error goes from 56.0 to 48.0 %, for 3.0 times the "
        "time of a step, 2.0 times the FLOPs and 2.0 times the parameters. The widths lie 8.0 "
        "points apart, the seeds of one of them up to 10.0."
    )
    assert types == (
        "Of the types of blocks at k = 2, the lowest median error is that of WRN-22-2 B(3,1), "
        "45.0 %; WRN-16-2, 48.0 %, of B(3,3). The types lie 3.0 points apart, the seeds of one of "
        "them up to 10.0."
    )
    assert wide_resnet.statements(table, 1)[0].startswith("With one seed, what errors differ by")
    without = table.drop(2)
    assert "is that of WRN-16-2, 48.0 %. The types lie 0.0" in wide_resnet.statements(without, 3)[1]


def test_the_figure_joins_the_widths(table):
    figure = wide_resnet.figure(table)
    first, second = figure.axes
    assert first.lines[0].get_xdata().tolist() == [1, 2]
    assert second.lines[0].get_xdata().tolist() == pytest.approx([0.1, 0.3])
    assert [text.get_text() for text in first.texts] == ["k = 1", "k = 2"]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["widths of B(3,3)", "WRN-22-2 B(3,1)"]


def test_cells_are_texts(table):
    cells = studies.texts(wide_resnet, table).iloc[0].tolist()
    assert cells == [
        *("WRN-16-1", "1.00", "200.0", "0.100", "44.67", "5.03", "56.0", "50.0", "60.0", "–")
    ]
