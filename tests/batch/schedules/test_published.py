import pytest

from batch.schedules.freezeout import calc_speedup


@pytest.mark.parametrize(("t_0", "expected"), [(0.8, [9.0, 12.8, 17.8]), (0.5, [22.5, 28.0, 34.8])])
def test_the_published_figures(t_0, expected):
    found = [calc_speedup(12, 76, t_0, spacing) for spacing in ("linear", "squared", "cubic")]
    assert [round(100 * one, 1) for one in found] == expected


def test_nothing_is_saved_by_freezing_at_the_end():
    assert calc_speedup(12, 40, 1.0, "cubic") == pytest.approx(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((12, 75, 0.8, "cubic"), r"depth must be 6n \+ 4"), ((12, 76, 0.8, "quartic"), "how_scale")],
)
def test_what_the_formula_does_not_know_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        calc_speedup(*arguments)
