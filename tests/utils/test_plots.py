import matplotlib.pyplot as plt
import numpy as np
import pytest

from batch.schedules.freezeout import FreezeOut
from utils import ax_draw, compare_curves, draw, draw_rates
from utils.plots import ewma


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_ewma_equals_its_recurrence():
    values, share = [4.0, 2.0, 0.0, 1.0], 2 / (3 + 1)
    expected = [values[0]]
    for value in values[1:]:
        expected.append((1 - share) * expected[-1] + share * value)
    np.testing.assert_allclose(ewma(values, 3), expected, rtol=1e-15)
    np.testing.assert_allclose(ewma([values, values], 3), [expected, expected], rtol=1e-15)


def test_draw_takes_lists_and_arrays_and_returns_the_axis():
    axis = draw([3, 2, 1], "A", np.array([3, 1, 1]), "B", type_data="accuracy", window=2)
    np.testing.assert_allclose(axis.lines[1].get_ydata(), ewma([3, 2, 1], 2))
    np.testing.assert_allclose(axis.lines[3].get_ydata(), ewma([3, 1, 1], 2))
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "A accuracy",
        "B accuracy",
    ]
    assert axis.get_ylabel() == "Accuracy"


def test_draw_one_curve_in_an_axis_with_bounds():
    _, given = plt.subplots()
    axis = draw([3, 2, 1], "A", bound=[0, 2, 0, 4], axis=given)
    assert axis is given
    assert len(axis.lines) == 2
    assert (*axis.get_xlim(), *axis.get_ylim()) == (0, 2, 0, 4)


@pytest.mark.parametrize(
    "params",
    [
        [3, 300, 0.04, False],
        {"learning_rate": 0.04, "scaled": False, "degree": 3, "iteration": 300},
    ],
)
def test_ax_draw_titles_with_the_parameters_under_their_names(params):
    axis = ax_draw([1, 2], [2, 1], params, plt.subplots()[1])
    assert axis.get_title() == "learning rate 0.04, degree 3, iteration 300, unscaled"


def test_ax_draw_asks_for_all_parameters():
    with pytest.raises(ValueError, match="Missing: learning_rate, scaled"):
        ax_draw([1], [1], [3, 300])


def test_draw_rates_shows_every_block_until_it_stops():
    schedule = FreezeOut(3, 10, 0.1, t_0=0.5, degree=1, scaled=False)
    axis = draw_rates(schedule)
    assert [line.get_xdata()[-1] for line in axis.lines] == [4, 7, 9]
    assert axis.lines[1].get_ydata()[3] == schedule(3)[1]


def test_compare_curves_draws_mean_and_band():
    losses = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    axis = compare_curves({"two seeds": losses, "one": [1.0, 1.0, 1.0]}, window=1)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [2, 2, 2])
    assert len(axis.collections) == 1
    band = axis.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(2 + np.sqrt(2))  # the deviation of 1 and 3, over n − 1
    assert band[:, 1].min() == pytest.approx(2 - np.sqrt(2))


def test_nothing_is_shown_and_no_style_is_changed(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_: pytest.fail("plt.show was called"))
    before = dict(plt.rcParams)
    draw([1, 2], "A")
    compare_curves({"A": [1, 2]})
    assert dict(plt.rcParams) == before
