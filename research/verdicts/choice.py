"""Which method to use, by the verdicts on all of them, in words."""

import math

from research.names import MARGIN
from research.verdicts.verdict import BETTER, FEW, NO_WORSE, UNKNOWN


def choice(summary, margin=MARGIN):
    """Which method to use, and why, in a text.

    From the baseline of all, it goes to the method that is better by most or, where none is, to the
    fastest of those that are no worse and surely faster; and from there on in the same way.

    Parameters
    ----------
    summary : DataFrame
        As from `research.verdicts.statistics.summarize`, with this margin.
    margin : float
        In percentage points.
    """
    rows = list(summary.itertuples(index=False))
    compared = [row for row in rows if row.pairs]
    if not compared:
        return _nothing_compared(rows)
    best, steps = _first(compared), []
    while (step := _step(best, compared)) is not None and len(steps) < len(compared):
        steps.append(step)
        best = step.method
    return f"{_why(best, steps, compared, margin)} {_means(rows)}"


def _first(compared):
    """The baseline that is compared with no other, or the first of them."""
    methods = {row.method for row in compared}
    baselines = [row.baseline for row in compared]
    return next((name for name in baselines if name not in methods), baselines[0])


def _step(best, compared):
    """The row of the method to go on to from a baseline; None to stay."""
    own = [row for row in compared if row.baseline == best]
    better = [row for row in own if row.verdict == BETTER]
    faster = [row for row in own if row.verdict == NO_WORSE and _surely_faster(row)]
    if better:
        return max(better, key=lambda row: row.difference)
    return min(faster, key=lambda row: row.time_ratio, default=None)


def _surely_faster(row):
    return row.time_ratio < 1 and not row.time_high >= 1  # no interval where all seeds agree


def _why(best, steps, compared, margin):
    if steps:
        return f"Use {best}: {'; '.join(_reason(row, margin) for row in steps)}."
    if max(row.pairs for row in compared) < 2:
        return (
            "One seed can't tell which method to use: it says nothing about accuracy. Run at least "
            f"{FEW} seeds."
        )
    beyond = f"better than {best}, or no worse than it by more than {margin:g} points and faster"
    if any(row.verdict.startswith(UNKNOWN) for row in compared if row.baseline == best):
        return f"These runs can't tell which method to use: none is surely {beyond}."
    return f"Use {best}: no other method is {beyond}."


def _reason(row, margin):
    """What one step of the way rests on."""
    p_value = f"p = {row.p_holm:.2g}"
    if row.verdict == BETTER:
        points = 100 * row.difference
        said = f"{row.method} is better than {row.baseline} by {points:.2f} points ({p_value})"
    else:
        within = f"by more than {margin:g} points ({p_value})"
        said = f"{row.method} is no worse than {row.baseline} {within}"
    return said + ("" if math.isnan(row.time_ratio) else f", in {row.time_ratio:.2f} of its time")


def _means(rows):
    """What methods reached on average."""
    accurate = max(rows, key=lambda row: row.accuracy_mean)
    fast = min(rows, key=lambda row: row.seconds_mean)
    best = f"{accurate.method} was the most accurate ({100 * accurate.accuracy_mean:.2f} %)"
    name = "it" if fast.method == accurate.method else fast.method
    return f"On average, {best}, and {name} the fastest ({fast.seconds_mean:.1f} s a run)."


def _nothing_compared(rows):
    if len(rows) > 1 or rows[0].seeds > 1:
        return f"Nothing is compared: no method was run beside its baseline. {_means(rows)}"
    (row,) = rows
    return (
        f"A single run of {row.method}: an accuracy of {100 * row.accuracy_mean:.2f} %, after "
        f"{row.seconds_mean:.1f} s of training. Nothing is compared, so it does not tell whether "
        "another method would do better."
    )
