"""Verdicts, and how often they and the intervals are right in studies whose truth is known."""

import gc

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from research.verdicts import verdict
from research.verdicts.statistics import paired_interval, ratio_interval
from research.verdicts.verdict import BETTER, NO_WORSE, WORSE, judge, seeds_needed

STUDIES, SEEDS, METHODS = 1000, 10, 4
MARGIN, SCATTER = 0.2, 0.003  # points; a share of 1
WITHIN = 0.02  # of the stated level


@pytest.fixture
def quick(monkeypatch):
    """A thousand studies in seconds: no advice, nor statsmodels' collecting of garbage."""
    monkeypatch.setattr(gc, "collect", lambda: 0)
    monkeypatch.setattr(verdict, "seeds_needed", lambda *_: 1)


def studies(truth, methods=METHODS, seeds=SEEDS):
    """Differences in accuracy by method; as all are to one baseline, they are correlated."""
    rng = np.random.default_rng(0)
    baselines = rng.normal(0, SCATTER, (STUDIES, 1, seeds))
    runs = rng.normal(truth, SCATTER, (STUDIES, methods, seeds))
    return [dict(enumerate(study)) for study in runs - baselines]


def judged(made, margin):
    """The verdicts of each study, as a set."""
    return [{verdict.verdict for verdict in judge(study, margin).values()} for study in made]


def share(verdicts, *wanted):
    """Of the studies, in how many some method has one of these verdicts."""
    return np.mean([not own.isdisjoint(wanted) for own in verdicts])


@pytest.mark.parametrize("seeds", [2, 10])
def test_intervals_cover_the_truth_as_often_as_they_say(seeds):
    made = [study[0] for study in studies(0.01, methods=1, seeds=seeds)]
    covered = [low <= 0.01 <= high for _, low, high in map(paired_interval, made)]
    assert np.mean(covered) == pytest.approx(0.95, abs=WITHIN)
    ratios = [0.8 * np.exp(20 * (differences - 0.01)) for differences in made]  # 8 % apart
    covered = [low <= 0.8 <= high for _, low, high in map(ratio_interval, ratios)]
    assert np.mean(covered) == pytest.approx(0.95, abs=WITHIN)


def test_intervals_cover_differences_of_counted_images():
    rng = np.random.default_rng(0)
    ours, theirs = (rng.binomial(450, share, (STUDIES, 5)) / 450 for share in (0.97, 0.98))
    intervals = map(paired_interval, ours - theirs)
    assert np.mean([low <= -0.01 <= high for _, low, high in intervals]) >= 0.95 - WITHIN


@pytest.mark.usefixtures("quick")
def test_a_wrong_verdict_is_as_rare_as_its_level():
    made = judged(studies(0, methods=1), 0.001)
    assert share(made, BETTER) == pytest.approx(0.025, abs=WITHIN)
    assert share(made, WORSE) == pytest.approx(0.025, abs=WITHIN)
    made = judged(studies(-MARGIN / 100, methods=1), MARGIN)
    assert share(made, NO_WORSE, BETTER) == pytest.approx(0.025, abs=WITHIN)


@pytest.mark.usefixtures("quick")
def test_levels_hold_for_all_methods_together():
    least = 0.001  # a loss of so few points is none, and it is no less than the margin
    made = judged(studies(-least / 100), least)
    assert 0.01 < share(made, BETTER, WORSE) <= 0.05 + WITHIN
    assert 0.005 < share(made, BETTER, NO_WORSE) <= 0.025 + WITHIN


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ratio", [0.5, 1])  # of the margin to the deviation of the differences
def test_so_many_seeds_have_the_power_that_is_said(ratio):
    deviation = SCATTER * np.sqrt(2)
    seeds = seeds_needed(deviation, ratio * deviation)
    made = judged(studies(0, 1, seeds), 100 * ratio * deviation)
    assert share(made, BETTER, NO_WORSE) == pytest.approx(0.8, abs=0.03)


def test_seeds_needed_are_whole_and_enough():
    for deviation in (1.4, 0.5, 0.01, 0.001, 1e-5, 1e-9):
        for margin in (1e-5, 1e-3, 0.1, 0.9):
            seeds = seeds_needed(deviation, margin)
            assert isinstance(seeds, int)
            power = [
                TTestPower().power(margin / deviation, some, 0.025, alternative="larger")
                for some in (seeds - 1, seeds)
            ]
            assert power[1] >= 0.8 - 1e-6
            assert seeds == 2 or power[0] < 0.8 + 1e-6


SPREAD = np.array([-1, 1, -0.5, 0.5, 0, 0.2, -0.2, 0.7, -0.7, 0]) / 1000


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [
        (0.01, BETTER),
        (0.0012, BETTER),  # also no worse: better is said
        (0, NO_WORSE),
        (-0.0006, NO_WORSE),  # also surely lower, by less than the margin
        (-0.0019, WORSE),
        (-0.05, WORSE),
    ],
)
def test_verdicts_nest(mean, verdict):
    (given,) = judge({"it": mean + SPREAD}, margin=0.2).values()
    assert given.verdict == verdict
    two = stats.ttest_1samp(mean + SPREAD, 0).pvalue
    one = stats.ttest_1samp(mean + SPREAD, -0.002, alternative="greater").pvalue
    assert given.p_holm == pytest.approx(one if verdict == NO_WORSE else two)
    assert given.seeds_needed == seeds_needed(SPREAD.std(ddof=1), 0.002)


def test_p_values_are_corrected_over_the_methods_that_are_tested():
    means = {"a": 0.0009, "b": 0.0007, "c": 0.0}
    same, alone = [0.01] * 10, [0.01]
    tested = {name: mean + SPREAD for name, mean in means.items()}
    given = judge({**tested, "d": same, "e": alone}, margin=1)
    raw = [stats.ttest_1samp(mean + SPREAD, 0).pvalue for mean in means.values()]
    assert given["a"].p_holm == pytest.approx(multipletests(raw, method="holm")[1][0])
    assert given["a"].p_holm == pytest.approx(3 * raw[0])
    assert given["a"].seeds_needed == seeds_needed(SPREAD.std(ddof=1), 0.01, 0.025 / 3)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([], "can't tell (run at least 5 seeds)"),
        ([0.01], "can't tell (run at least 5 seeds)"),
        ([0.0, 0.0], "can't tell (all seeds agree)"),
        ([0.95 - 0.92, 0.98 - 0.95, 0.03], "can't tell (all seeds agree)"),
    ],
)
def test_without_a_spread_there_is_no_test(differences, expected):
    given = judge({"it": differences}, margin=0.1)["it"]
    assert given.verdict == expected
    assert np.isnan([given.p_holm, given.seeds_needed]).all()


FIVE = np.array([-2, 0, -2, 0, -1]) / 1000


@pytest.mark.parametrize(
    ("differences", "margin", "needed", "more"),
    [
        ([-0.001, 0.001], 0.5, 3, "3 more seeds"),  # no fewer than 5 in all
        (FIVE, 0.159, 6, "1 more seed"),
        (SPREAD, 0.02, 80, "70 more seeds"),
        (100 * SPREAD, 0.1, 31_049, "31,039 more seeds"),
        (SPREAD - 0.0003, 0.07, 9, "10 more seeds"),  # enough, and yet undecided: as many again
    ],
)
def test_how_many_seeds_to_run(differences, margin, needed, more):
    given = judge({"it": differences}, margin)["it"]
    assert (given.verdict, given.seeds_needed) == (f"can't tell (run {more})", needed)
    p_value = stats.ttest_1samp(differences, -margin / 100, alternative="greater").pvalue
    assert given.p_holm == pytest.approx(p_value)
