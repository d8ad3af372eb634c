"""Several methods on several seeds: same data, same start, same order; and what that tells."""

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats

from batch.data.history import by_method
from research import run as running
from research.experiment import check
from research.names import BASELINES, kind
from research.watchers import Progress

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


TURN = 10  # iterations


def compare(named, seeds, data, quiet=False, watch=None):
    """Carry out every experiment on every seed.

    Within a seed they take turns of a few iterations, so that what else the machine does meets them
    all alike. A short run that is thrown away goes first: TensorFlow's first steps are nobody's
    disadvantage.

    Parameters
    ----------
    named : dict from str to Experiment
        By their labels, which are the methods of the histories.
    seeds : sequence of int
    data : utils.Data
    quiet : bool
        No progress bar.
    watch : callable, optional
        From a label and a seed to watchers of that run.

    Returns
    -------
    list of History
        Grouped by seed, in the order of the experiments.
    """
    for one in named.values():
        check(one, data)
    first = next(iter(named.values()))
    short = {"iterations": 2, "freeze_iterations": None, "freeze_every": None}
    running.run(dataclasses.replace(first, **short), data)
    histories = []
    total = len(seeds) * sum(one.iterations for one in named.values())
    with Progress(total, quiet=quiet) as progress:
        for seed in seeds:
            runs = {
                label: running.Run(
                    dataclasses.replace(one, seed=seed),
                    data,
                    [progress, *(watch(label, seed) if watch else ())],
                )
                for label, one in named.items()
            }
            while not all(one.done for one in runs.values()):
                for one in runs.values():
                    one.advance(TURN)
                    one.settle()
            histories += [
                dataclasses.replace(one.history, method=label) for label, one in runs.items()
            ]
    return histories


def of_methods(base, methods):
    """An experiment for each method, by its name; the base is what they have in common."""
    return {method: dataclasses.replace(base, method=method) for method in methods}


def summarize(histories, predicted):
    """One row a method: accuracy, time, and the difference to its baseline.

    Parameters
    ----------
    histories : list of History
    predicted : dict from str to float
        As `compare` gives it.

    Returns
    -------
    DataFrame
        With the columns of `SUMMARY`. `seconds_ratio` is to classic, on the seeds that both have;
        the difference in test accuracy is to `baseline`, paired over these seeds, with its 95 %
        interval (Student's t).
        What can't be told is empty: a ratio or a difference without the runs it needs, an interval
        from fewer than 2 seeds. Of `PAIRED`, too: how many seeds were paired, and the time of these
        runs over that of their baseline's.
    """
    runs = {
        method: {history.seed: history for history in own}
        for method, own in by_method(histories).items()
    }
    rows = [_row(method, runs, predicted.get(method)) for method in runs]
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


def _row(method, all_runs, predicted):
    runs = all_runs[method]
    accuracies = [run.accuracy for run in runs.values()]
    baseline = BASELINES.get(kind(method))
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
    ours, theirs = (sum(sum(one[seed].seconds) for seed in shared) for one in (runs, others))
    return ours / theirs if shared else np.nan
