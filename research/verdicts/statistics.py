"""What runs say about their methods: means, paired differences, ratios of time, and verdicts."""

import numpy as np
import pandas as pd
from scipy import stats

from batch.data.history import by_method
from research.names import MARGIN
from research.verdicts.labels import facts_of
from research.verdicts.verdict import AGREED, FEW, Verdict, agree, judge

DIFFERENCE = "difference", "ci_low", "ci_high"
RATIO = "time_ratio", "time_low", "time_high"
SUMMARY = [
    *("method", "seeds", "accuracy_mean", "accuracy_std", "seconds_mean", "seconds_ratio"),
    *("predicted_ratio", "baseline", *DIFFERENCE, *Verdict._fields, *RATIO),
]
TARGET = ["target_reached", "target_seconds"]  # where a target was watched for


def summarize(histories, predicted, methods=None, margin=MARGIN):
    """One row per method: accuracy, time, both against its baseline, and the verdict.

    Parameters
    ----------
    histories : list of History
    predicted : dict from str to float
        Time of each method over that of a classic run, as the costs of its blocks predict it.
    methods : dict, optional
        What the labels of the histories stand for, as from `labels.describe`; not needed for
        labels that begin with the name of one of our methods.
    margin : float
        How much accuracy a method may lose and still be no worse, in percentage points.

    Returns
    -------
    DataFrame
        With the columns of `SUMMARY` and, where the histories have a target, of `TARGET`.
        `seconds_ratio` is to classic, on the seeds that both have. The rest is to `baseline`,
        paired over these seeds: the difference in test accuracy with its 95 % interval (Student's
        t), `verdict.Verdict`, and the ratio of time with its interval, both from the mean of its
        logarithm. `target_reached` is as 3/5 runs, `target_seconds` the median of all, of which
        those that never reach it take longest.
        What can't be known is empty: a ratio or a difference without the runs it needs, an interval
        from fewer than 2 seeds or from differences that are all the same. `pairs`, too: how many
        seeds were paired.
    """
    runs = {
        method: {history.seed: history for history in own}
        for method, own in by_method(histories).items()
    }
    facts = facts_of(runs, methods)
    baselines = {method: facts[method]["baseline"] for method in runs}
    pairs = {method: _pairs(runs[method], runs.get(baselines[method], {})) for method in runs}
    differences = {
        method: [run.accuracy - usual.accuracy for run, usual in pairs[method]]
        for method in runs
        if baselines[method] in runs
    }
    verdicts = judge(differences, margin)
    table = pd.DataFrame(
        {
            **_of_runs(method, runs, predicted.get(method)),
            "baseline": baselines[method] if method in verdicts else None,
            **dict(zip(DIFFERENCE, paired_interval(differences.get(method, [])))),
            **(verdicts[method]._asdict() if method in verdicts else {}),
            **dict(zip(RATIO, ratio_interval(_ratios(pairs[method])))),
            "pairs": len(pairs[method]),
        }
        for method in runs
    )
    targets = TARGET if any(history.target for history in histories) else []
    table = table.reindex(columns=[*SUMMARY, *targets, "pairs"])
    return table.astype({"predicted_ratio": float, "seeds_needed": "Int64"})


def summary_of(histories, record):
    """The summary of a comparison that was saved.

    Parameters
    ----------
    histories, record
        As from `research.storage.results.read`.

    Returns
    -------
    DataFrame
        As from `summarize`.
    """
    margin = record["settings"].get("margin", MARGIN)
    return summarize(histories, record["predicted_ratio"], record.get("methods"), margin)


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
    if agree(differences):
        return mean, np.nan, np.nan
    return mean, *stats.ttest_1samp(differences, 0).confidence_interval(confidence)


def ratio_interval(ratios, confidence=0.95):
    """Mean of ratios and its confidence interval, both of their logarithms, as ratios again.

    Parameters
    ----------
    ratios : array_like, shape (seeds,)
        Above 0.

    Returns
    -------
    mean, low, high : float
        As from `paired_interval`, but the mean of a single ratio is that ratio.
    """
    logs = np.log(np.asarray(ratios, dtype=float))
    if logs.size == 1:
        return ratios[0], np.nan, np.nan
    return tuple(np.exp(paired_interval(logs, confidence)))


def interval_text(low, high, decimals=2):
    """An interval in words; of 2 seeds or more, NaN means that all of them agree."""
    if np.isnan(low):
        return AGREED
    return f"{low:+.{decimals}f} to {high:+.{decimals}f}"


def less_time(saved):
    """The percentage of time saved, in words; below 0, more was taken."""
    return f"{abs(saved):.1f} % {'less' if saved >= 0 else 'more'} time"


def chance(low, high, seeds):
    """An interval over 2 seeds or more in words, and whether the difference may be chance."""
    if np.isnan(low):
        return AGREED
    if seeds < FEW:
        return f"{seeds} seeds, too few for an interval"
    maybe = ", which may be chance" if low <= 0 <= high else ""
    return f"from {low:+.2f} to {high:+.2f}{maybe}"


def _of_runs(method, all_runs, predicted):
    """What is known of a method without its baseline."""
    runs = all_runs[method]
    accuracies = [run.accuracy for run in runs.values()]
    classic = _pairs(runs, all_runs.get("classic", {}))
    ours, theirs = (sum(map(_seconds, some)) for some in zip(*classic)) if classic else (0, 0)
    return {
        "method": method,
        "seeds": len(runs),
        "accuracy_mean": np.mean(accuracies),
        "accuracy_std": deviation(accuracies),
        "seconds_mean": np.mean([_seconds(run) for run in runs.values()]),
        "seconds_ratio": ours / theirs if theirs else np.nan,
        "predicted_ratio": predicted,
        **_target([run.target for run in runs.values() if run.target]),
    }


def _pairs(runs, others):
    """Runs and those of others, on the seeds that both have."""
    return [(runs[seed], others[seed]) for seed in sorted(set(runs) & set(others))]


def _seconds(run):
    return sum(run.seconds)


def _ratios(pairs):
    """Ratios of time; none of runs whose seconds are not known."""
    seconds = [[_seconds(run) for run in pair] for pair in pairs]
    return [ours / theirs for ours, theirs in seconds if ours and theirs]


def _target(targets):
    """How many runs reached the target, and when; it is empty where half of them did not."""
    if not targets:
        return {"target_reached": ""}
    seconds = [np.inf if own["seconds"] is None else own["seconds"] for own in targets]
    median = np.median(seconds)
    return {
        "target_reached": f"{np.isfinite(seconds).sum()}/{len(targets)}",
        "target_seconds": median if np.isfinite(median) else np.nan,
    }
