import matplotlib
import pytest

from research.verdicts.answers import (
    Answers,
    by_interval,
    mean_and_deviation,
    over_seeds,
    use_style,
)


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr("research.verdicts.answers._show", texts.append)
    return texts


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1.5], "+1.50 points (one seed)"),
        ([1, 2, 3], "+2.00 points (95 % interval -0.48 to +4.48, 3 seeds)"),
        ([-2, -2], "-2.00 points (95 % interval all seeds agree, 2 seeds)"),
    ],
)
def test_differences_are_said_with_their_interval(differences, expected):
    assert over_seeds(differences) == expected


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1, 2, 3], "nobody can tell"),
        ([2, 2.1, 2.2], "more"),
        ([-2, -2.1, -2.2], "less"),
        ([5], "nobody can tell"),
        ([5, 5], "nobody can tell"),
    ],
)
def test_the_interval_decides_what_is_said(differences, expected):
    assert by_interval(differences, "more", "less") == expected


def test_a_mean_has_a_deviation_over_seeds():
    assert mean_and_deviation([1, 2, 3], decimals=2) == "2.00 ± 1.00 %"
    assert mean_and_deviation([4], "s") == "4.0 s"


@pytest.mark.parametrize("toy", [False, True])
def test_answers_are_shown_at_once_and_together(shown, toy):
    answer = Answers(toy)
    answer("First.")
    answer("Second.")
    assert shown == ["**Answer.** First.", "**Answer.** Second."]
    answer.together("digits, 3 seeds.")
    basis, _, *numbered = shown[-1].split("\n")
    assert basis.startswith("digits, 3 seeds.")
    assert ("these numbers say nothing" in basis) == toy
    assert "All of this took 0 minutes on " in basis
    assert basis.endswith("Times are this machine's.")
    assert numbered == ["1. First.", "2. Second."]


def test_the_style_is_ours_and_formulas_are_read():
    with matplotlib.rc_context():
        backend = matplotlib.rcParams["backend"]
        use_style()
        assert matplotlib.rcParams["axes.grid"]
        assert matplotlib.rcParams["text.parse_math"]
        assert matplotlib.rcParams["backend"] == backend
