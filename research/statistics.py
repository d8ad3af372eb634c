"""What runs say about their methods: means, paired differences, and both in words."""

import numpy as np
import pandas as pd
from scipy import stats

from batch.data.history import by_method
from research.labels import facts_of

SUMMARY = [
    "method",
    "seeds",
    "accuracy_mean",
    "accuracy_std",
    "seconds_mean",
    "seconds_ratio",
    "predicted_ratio",
    "baseline",
    "difference",
    "ci_low",
    "ci_high",
]
PAIRED = ("pairs", "time_ratio")  # more of them, which only words need


def summarize(histories, predicted, methods=None):
    """One row per method: accuracy, time, and the difference to its baseline.

    Parameters
    ----------
    histories : list of History
    predicted : dict from str to float
        Time of each method over that of a classic run, as its FLOPs predict it.
    methods : dict, optional
        What the labels of the histories stand for, as from `research.labels.describe`; not needed
        for labels that begin with the name of one of our methods.

    Returns
    -------
    DataFrame
        With the columns of `SUMMARY`. `seconds_ratio` is to classic, on the seeds that both have;
        the difference in test accuracy is to `baseline`, paired over these seeds, with its 95 %
        interval (Student's t).
        What can't be known is empty: a ratio or a difference without the runs it needs, an interval
        from fewer than 2 seeds. Of `PAIRED`, too: how many seeds were paired, and the time of these
        runs over that of their baseline's.
    """
    runs = {
        method: {history.seed: history for history in own}
        for method, own in by_method(histories).items()
    }
    facts = facts_of(runs, methods)
    rows = [_row(method, facts[method]["baseline"], runs, predicted.get(method)) for method in runs]
    return pd.DataFrame(rows, columns=[*SUMMARY, *PAIRED])


def paired_interval(differences, confidence=0.95):
    """Mean of paired differences and its confidence interval; NaN for fewer than 2.

    Parameters
    ----------
    differences : array_like, shape (seeds,)

    Returns
    -------
    mean, low, high : float
    """
    differences = np.asarray(differences, dtype=float)
    if differences.size < 2:
        return np.nan, np.nan, np.nan
    mean = differences.mean()
    margin = stats.t.ppf(0.5 + confidence / 2, differences.size - 1) * stats.sem(differences)
    return mean, mean - margin, mean + margin


def statements(summary):
    """What each row says about its method against the baseline, as a list of texts."""
    rows = {row.method: row for _, row in summary.iterrows()}
    return [_statement(row, rows[row.baseline]) for row in rows.values() if row.pairs]


def _row(method, baseline, all_runs, predicted):
    runs = all_runs[method]
    accuracies = [run.accuracy for run in runs.values()]
    usual = all_runs.get(baseline, {})
    shared = sorted(set(runs) & set(usual))
    differences = [runs[seed].accuracy - usual[seed].accuracy for seed in shared]
    return [
        method,
        len(runs),
        np.mean(accuracies),
        np.std(accuracies, ddof=1) if len(runs) > 1 else np.nan,
        np.mean([sum(run.seconds) for run in runs.values()]),
        _time_ratio(runs, all_runs.get("classic", {})),
        predicted,
        baseline if baseline in all_runs else None,
        *paired_interval(differences),
        len(shared),
        _time_ratio(runs, usual),
    ]


def _time_ratio(runs, others):
    """Seconds of runs over those of others, on the seeds that both have; NaN without any."""
    shared = set(runs) & set(others)
    ours, theirs = (sum(sum(own[seed].seconds) for seed in shared) for own in (runs, others))
    return ours / theirs if shared else np.nan


def _statement(row, baseline):
    return (
        f"{row.method} against {row.baseline}: {_verdict(row)} "
        f"It took {row.time_ratio:.2f} of the time of {row.baseline}; "
        f"their FLOPs predict {row.predicted_ratio / baseline.predicted_ratio:.2f}."
    )


def _verdict(row):
    if np.isnan(row.difference):
        return "one seed tells nothing about accuracy; run at least two."
    sign = "more" if row.difference >= 0 else "less"
    difference = (
        f"{abs(100 * row.difference):.2f} points {sign} accuracy, 95 % interval "
        f"{100 * row.ci_low:+.2f} to {100 * row.ci_high:+.2f}, over {row.pairs} seeds."
    )
    if np.isclose(row.ci_low, row.ci_high, rtol=0, atol=1e-9):
        return difference + " All seeds gave the same, which says little about others: run more."
    if row.ci_low > 0 or row.ci_high < 0:
        return difference + " Seeds alone would hardly give that."
    return difference + " That can't be told from chance."
