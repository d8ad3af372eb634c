"""What a summary says, in sentences."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from research.names import MARGIN
from research.verdicts.statistics import interval_text
from research.verdicts.verdict import AGREED, FEW, NO_WORSE, UNKNOWN

MANY = 100  # seeds in all, which hardly anybody would run


class Judged(NamedTuple):
    """The verdict on a method, and what it rests on, in words."""

    method: str
    baseline: str
    verdict: str
    basis: str

    def __str__(self):
        return f"{self.method} against {self.baseline}: {self.verdict}. {self.basis}"


def statements(summary, margin=MARGIN, target=None, test_images=None):
    """The verdict on each method and what it rests on, and `remarks`, as a list of texts.

    Parameters
    ----------
    summary : DataFrame
        As from `research.verdicts.statistics.summarize`, with this margin.
    margin : float
        In percentage points.
    target : float, optional
        In percent; what `target_reached` is of.
    test_images : int, optional
        How many images the accuracies are of.
    """
    said = [str(line) for line in judged(summary, margin)]
    said = said or ["No method was run beside its baseline."]
    return said + reached(summary, target) + remarks(summary, margin, test_images)


def judged(summary, margin=MARGIN):
    """The verdict on each method that was run beside its baseline, as a list of `Judged`.

    Parameters
    ----------
    summary, margin
        As for `statements`.
    """
    rows = {row.method: row for _, row in summary.iterrows()}
    return [_judged(row, rows[row.baseline], margin) for row in rows.values() if row.pairs]


def reached(summary, target):
    """How many runs of each method reached the target, and when, as a list of texts.

    Parameters
    ----------
    summary, target
        As for `statements`.
    """
    rows = [row for _, row in summary.iterrows()] if target else []
    return [_reached(row, target) for row in rows if row.get("target_reached")]


def remarks(summary, margin=MARGIN, test_images=None):
    """How verdicts are made, and what accuracies and intervals are worth, as a list of texts.

    Parameters
    ----------
    summary, margin, test_images
        As for `statements`.
    """
    made = []
    if (summary.pairs > 1).any():
        made.append(
            f"Verdicts have a margin of {margin:g} points; their p-values are corrected over the "
            "methods (Holm)."
        )
    if any(map(_hopeless, summary.itertuples())):
        made.append(
            f"Where so many seeds are missing (more than {MANY} in all), seeds differ by far more "
            "than the margin: longer runs, more test images or a wider margin decide sooner."
        )
    if test_images:
        made.append(_noise(summary.accuracy_mean.mean(), test_images, margin))
    return made + _worth(summary)


def _hopeless(row):
    return str(row.verdict).startswith(UNKNOWN) and row.pairs >= FEW and row.seeds_needed > MANY


def _noise(accuracy, test_images, margin):
    """What an accuracy is worth, which is the mean of all methods', by the number of images."""
    error = 100 * stats.binom.std(test_images, accuracy) / test_images
    noise = (
        f"An accuracy of {100 * accuracy:.2f} %, the mean of all methods, on {test_images:,} "
        f"images has a binomial standard error of {error:.2f} points, which more seeds on these "
        "images do not reduce."
    )
    image = 100 / test_images
    if image > margin:
        noise += f" One image is {image:.2f} points, more than the margin."
    return noise


def _worth(summary):
    """A warning, where the fewest seeds of an interval are fewer than 5."""
    seeds = summary.pairs[summary.pairs > 1].min()  # NaN if there are none
    if not seeds < FEW:
        return []
    return [
        f"Warning: intervals over {seeds:.0f} seeds are worth little. They reach "
        f"{_reach(seeds):.1f} standard deviations of the differences to each side "
        f"({_reach(FEW):.1f} with {FEW} seeds), and that deviation is itself a guess from "
        f"{seeds:.0f} numbers. Run {FEW} or more."
    ]


def _reach(seeds):
    """Half the width of a 95 % interval, in standard deviations of the differences."""
    return stats.t.ppf(0.975, seeds - 1) / np.sqrt(seeds)


def _judged(row, baseline, margin):
    verdict = row.verdict
    if verdict == NO_WORSE:
        verdict += f" of {margin:g} points"
    if not verdict.startswith(UNKNOWN):
        verdict += f" (p = {row.p_holm:.2g})"
    time = _time(row, row.predicted_ratio / baseline.predicted_ratio)
    return Judged(row.method, row.baseline, verdict, _difference(row) + time)


def _difference(row):
    if row.pairs < 2:
        return "One seed says nothing about accuracy."
    sign = "more" if row.difference >= 0 else "less"
    difference = f"{abs(100 * row.difference):.2f} points {sign} accuracy"
    if np.isnan(row.ci_low):
        return f"{difference}; {AGREED}: all {row.pairs} gave that, which says little about others."
    if row.pairs < FEW:
        return f"{difference} over {row.pairs} seeds, too few for an interval."
    interval = interval_text(100 * row.ci_low, 100 * row.ci_high)
    return f"{difference}, 95 % interval {interval}, over {row.pairs} seeds."


def _time(row, predicted):
    if np.isnan(row.time_ratio):
        return ""
    ratio = f"{row.time_ratio:.2f} of the time of {row.baseline}"
    if row.pairs >= FEW and not np.isnan(row.time_low):
        ratio += f", 95 % interval {row.time_low:.2f} to {row.time_high:.2f}"
    if not np.isnan(predicted):
        ratio += f"; predicted were {predicted:.2f}"
    return f" It took {ratio}."


def _reached(row, target):
    after = "" if np.isnan(row.target_seconds) else f", after {row.target_seconds:.1f} s (median)"
    return f"{row.method} reached {target:g} % in {row.target_reached} runs{after}."
