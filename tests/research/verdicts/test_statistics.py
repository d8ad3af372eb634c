import numpy as np
import pandas as pd
import pytest
from scipy import stats

from research.storage import results
from research.verdicts.statistics import SUMMARY, TARGET, paired_interval, ratio_interval, summarize
from research.verdicts.verdict import judge
from utils import History

PREDICTED = {"classic": 1.0, "annealed": 1.0, "freezeout": 0.8}
GAINS = {"classic": 0.0, "annealed": 0.02, "freezeout": 0.0199}


def made(seeds=6):
    """Runs of three methods; freezeout takes about 0.8 of annealed's time."""
    rng = np.random.default_rng(0)
    return [
        History(
            *(method, seed, [1.0], [10 * rng.lognormal(0, 0.1) * PREDICTED[method]], [0]),
            0.95 + gain + rng.normal(0, 0.0005),
        )
        for seed in range(seeds)
        for method, gain in GAINS.items()
    ]


def test_new_columns_follow_those_of_before():
    assert ",".join(SUMMARY) == (
        "method,seeds,accuracy_mean,accuracy_std,seconds_mean,seconds_ratio,predicted_ratio,"
        "baseline,difference,ci_low,ci_high,verdict,p_holm,seeds_needed,time_ratio,time_low,"
        "time_high"
    )
    assert TARGET == ["target_reached", "target_seconds"]


def test_each_method_has_the_verdict_of_the_test_against_its_baseline():
    histories = made()
    accuracy = {
        method: np.array([run.accuracy for run in histories if run.method == method])
        for method in GAINS
    }
    given = judge(
        {
            "annealed": accuracy["annealed"] - accuracy["classic"],
            "freezeout": accuracy["freezeout"] - accuracy["annealed"],
        },
        margin=0.2,
    )
    table = summarize(histories, PREDICTED, margin=0.2).set_index("method")
    assert table.verdict[["annealed", "freezeout"]].tolist() == [
        "better",
        "no worse than the margin",
    ]
    for method, verdict in given.items():
        assert tuple(table.loc[method, list(verdict._fields)]) == verdict
    columns = [*verdict._fields, "baseline", "difference", "time_ratio", "time_low"]
    assert table.loc["classic", columns].isna().all()


def test_the_ratio_of_time_is_paired_within_seeds():
    histories = made()
    seconds = {
        method: np.array([run.seconds[0] for run in histories if run.method == method])
        for method in GAINS
    }
    row = summarize(histories, PREDICTED).set_index("method").loc["freezeout"]
    logs = np.log(seconds["freezeout"] / seconds["annealed"])
    assert row.time_ratio == pytest.approx(stats.gmean(seconds["freezeout"] / seconds["annealed"]))
    expected = np.exp(stats.ttest_1samp(logs, 0).confidence_interval())
    assert [row.time_low, row.time_high] == pytest.approx(expected)
    assert row.seconds_ratio == pytest.approx(seconds["freezeout"].sum() / seconds["classic"].sum())


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [([], [np.nan] * 3), ([0.8], [0.8, np.nan, np.nan]), ([0.5, 0.5], [0.5, np.nan, np.nan])],
)
def test_no_interval_without_a_spread(ratios, expected):
    assert ratio_interval(ratios) == pytest.approx(expected, nan_ok=True)


def test_slow_and_fast_are_treated_alike():
    ratios = np.array([0.5, 0.6, 0.8])
    mean, low, high = ratio_interval(ratios)
    assert ratio_interval(1 / ratios) == pytest.approx((1 / mean, 1 / high, 1 / low))
    assert paired_interval(ratios)[0] != pytest.approx(mean)


def test_runs_without_seconds_have_no_ratio():
    histories = [History("classic", 0, [1.0], [0.0], [0], 0.5)]
    histories.append(History("annealed", 0, [1.0], [1.0], [0], 0.5))
    assert summarize(histories, {}).time_ratio.isna().all()


@pytest.mark.parametrize(
    ("seconds", "reached", "median"),
    [
        ([1.0, 3.0, 2.0], "3/3", 2.0),
        ([1.0, None, 2.0], "2/3", 2.0),
        ([None, None, 2.0], "1/3", np.nan),
        ([None, 1.0], "1/2", np.nan),
        ([None] * 3, "0/3", np.nan),
    ],
)
def test_runs_that_never_reach_the_target_count_as_the_longest(seconds, reached, median):
    histories = made(seeds=len(seconds))
    own = [history for history in histories if history.method == "freezeout"]
    for history, value in zip(own, seconds):
        history.target = {"accuracy": 0.97, "iterations": value and 1, "seconds": value}
    table = summarize(histories, PREDICTED).set_index("method")
    assert table.target_reached["freezeout"] == reached
    assert table.target_seconds["freezeout"] == pytest.approx(median, nan_ok=True)
    assert table.target_reached["classic"] == ""


def test_the_file_and_what_is_read_back(tmp_path):
    histories = made()
    for history in histories:
        history.target = {"accuracy": 0.95, "iterations": 1, "seconds": history.seconds[0]}
    settings = {"command": "compare", "margin": 0.2, "target": 95}
    results.save(tmp_path, histories, settings, {}, PREDICTED)
    table = pd.read_csv(tmp_path / "summary.csv")
    assert table.columns.tolist() == [*SUMMARY, *TARGET]
    assert table.verdict[2] == "no worse than the margin"  # with the margin of the settings
    assert (tmp_path / "summary.csv").read_text().splitlines()[1].startswith("classic,6,")
    again, _ = results.read(tmp_path)
    assert [history.target for history in again] == [history.target for history in histories]
    for history in histories:
        history.target = None
    results.save(tmp_path, histories, {"command": "compare"}, {}, PREDICTED)
    assert pd.read_csv(tmp_path / "summary.csv").columns.tolist() == SUMMARY
    assert "target" not in (tmp_path / "experiment.json").read_text()
