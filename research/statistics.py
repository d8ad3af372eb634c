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
FEW = 5  # seeds below which an interval is worth little
AGREED = "all seeds agree"  # in place of an interval: equal differences give none


def summarize(histories, predicted, methods=None):
    """One row per method: accuracy, time, and the difference to its baseline.

    Parameters
    ----------
    histories : list of History
    predicted : dict from str to float
        Time of each method over that of a classic run, as the costs of its blocks predict it.
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
        from fewer than 2 seeds or from differences that are all the same. Of `PAIRED`, too: how
        many seeds were paired, and the time of these runs over that of their baseline's.
    """
    runs = {
        method: {history.seed: history for history in own}
        for method, own in by_method(histories).items()
    }
    facts = facts_of(runs, methods)
    rows = [_row(method, facts[method]["baseline"], runs, predicted.get(method)) for method in runs]
    return pd.DataFrame(rows, columns=[*SUMMARY, *PAIRED])


def deviation(values):
    """Standard deviation over seeds, over n − 1; NaN for one."""
    return np.std(values, ddof=1) if len(values) > 1 else np.nan


def paired_interval(differences, confidence=0.95):
    """Mean of paired differences and its confidence interval; NaN for fewer than 2.

    Where all differences are the same, the interval is NaN too: its width would be zero, as if the
    mean were certain.

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
    if np.allclose(differences, mean, rtol=1e-9, atol=1e-9):
        return mean, np.nan, np.nan
    reach = _reach(differences.size, confidence) * differences.std(ddof=1)
    return mean, mean - reach, mean + reach


def _reach(seeds, confidence=0.95):
    """Half the width of an interval, in standard deviations of the differences."""
    return stats.t.ppf(0.5 + confidence / 2, seeds - 1) / np.sqrt(seeds)


def interval_text(low, high, decimals=2):
    """An interval in words; of 2 seeds or more, NaN means that all of them agree."""
    if np.isnan(low):
        return AGREED
    return f"{low:+.{decimals}f} to {high:+.{decimals}f}"


def less_time(saved):
    """The percentage of time saved, in words; below 0, more was taken."""
    return f"{abs(saved):.1f} % {'less' if saved >= 0 else 'more'} time"


def verdict(low, high):
    """An interval in words, and whether the difference may be chance."""
    if np.isnan(low):
        return AGREED
    chance = ", which may be chance" if low <= 0 <= high else ""
    return f"from {low:+.2f} to {high:+.2f}{chance}"


def worth(summary):
    """What the intervals of a summary are worth, as a list of one text; empty for 5 seeds or more.

    Parameters
    ----------
    summary : DataFrame
        As from `summarize`; the interval over the fewest seeds counts.
    """
    seeds = summary.pairs[summary.pairs > 1].min()  # NaN if there are none
    if not seeds < FEW:
        return []
    return [
        f"Intervals over {seeds:.0f} seeds are worth little: they reach {_reach(seeds):.1f} "
        f"standard deviations of the differences to each side ({_reach(FEW):.1f} with {FEW} "
        f"seeds), and that deviation is itself a guess from {seeds:.0f} numbers. Run {FEW} or more."
    ]


def statements(summary):
    """What each row says about its method against the baseline, as a list of texts.

    The last says what their intervals are worth, where they are over few seeds.
    """
    rows = {row.method: row for _, row in summary.iterrows()}
    said = [_statement(row, rows[row.baseline]) for row in rows.values() if row.pairs]
    return said + worth(summary)


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
        deviation(accuracies),
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
        f"predicted were {row.predicted_ratio / baseline.predicted_ratio:.2f}."
    )


def _verdict(row):
    if np.isnan(row.difference):
        return "one seed tells nothing about accuracy; run at least two."
    sign = "more" if row.difference >= 0 else "less"
    difference = f"{abs(100 * row.difference):.2f} points {sign} accuracy"
    if np.isnan(row.ci_low):
        return (
            f"{difference}. All {row.pairs} seeds gave the same, which says little about others: "
            "run more."
        )
    interval = interval_text(100 * row.ci_low, 100 * row.ci_high)
    difference = f"{difference}, 95 % interval {interval}, over {row.pairs} seeds."
    if row.ci_low > 0 or row.ci_high < 0:
        return difference + " Seeds alone would hardly give that."
    return difference + " That can't be told from chance."
