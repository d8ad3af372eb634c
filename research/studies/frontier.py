"""How many leading blocks of a pre-trained base to freeze for good, read from the cache.

One base is fine-tuned with its first K blocks frozen from the start, for K from none to all. With
all of them the classifier learns alone, at a higher rate. Against these stand training for fewer
iterations, annealed over them, with nothing frozen, and FreezeOut through all blocks. All share a
seed's start and order of examples, and all but the classifier alone their rate.

A run is beaten if another one takes less time and is at least as accurate. What no other beats is
the frontier.
"""

import dataclasses

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.experiments import bases
from research.studies import share_read
from research.verdicts.statistics import chance, deviation, less_time, paired_interval
from utils.beside import label_points
from utils.palette import INK
from utils.style import legend, logarithmic, new_figure

OPTIONS = ("depths",)  # of the command line, for `experiments`
PARTS = 5  # in so many steps K goes from none to all blocks
HEAD = 10  # times the rate, for the classifier alone
SHORTER = (0.25, 0.5)  # shares of the iterations
SCHEDULES = (("linear", 0.05), ("cubic", 0.3))  # FreezeOut's spacing and t_0
ABOUT = 1.5  # a time so many times as long is about equal
BASELINE = "annealed K=0"
TITLE = "The frontier over the frozen blocks"
CAPTION = (
    "Mean accuracy against the seconds of training, with the standard deviation over seeds: up is "
    "better, left is faster. The line joins what no other run beats. K leading blocks are frozen "
    "for good and read from the cache."
)
ONLY = "of the iterations"  # in the labels of shorter runs
MARKERS = {
    "K blocks frozen for good": "o",
    "nothing frozen, fewer iterations": "s",
    "FreezeOut": "^",
}
COLUMNS = (
    *("run", "seconds", "time saved, %", "read from the cache, %", "accuracy, %", "deviation"),
    *("over K=0, points", "from", "to"),
    *("shorter run of its time", "over that, points", "that from", "that to"),
    *("beaten by", "by, points", "by from", "by to"),
)
DECIMALS = dict.fromkeys(COLUMNS[4:], 2)


def experiments(base, depths=None):
    """Several numbers of frozen blocks, shorter runs, and FreezeOut, by their labels.

    Parameters
    ----------
    base : Experiment
        With a `base`.
    depths : sequence of int, optional
        The numbers of frozen blocks, to which 0 is added; from none to all by default.
    """
    blocks = bases.count_blocks(base.base)
    if depths is None:
        depths = [round(part * blocks / PARTS) for part in range(PARTS + 1)]
    base = dataclasses.replace(base, method="annealed")
    rate = base.with_rates().learning_rate
    named = {}
    for depth in sorted({0, *depths}):
        alone = {"learning_rate": HEAD * rate} if depth == blocks else {}
        label = f"annealed K={depth}" + (f", rate {HEAD * rate:g}" if alone else "")
        named[label] = dataclasses.replace(base, freeze_first=depth, **alone)
    for share in SHORTER:
        length = max(1, round(share * base.iterations))
        named[f"{BASELINE}, {share} {ONLY}"] = dataclasses.replace(
            base, iterations=length, freeze_iterations=None
        )
    for how_scale, t_0 in SCHEDULES:
        named[f"freezeout {how_scale}, t_0 {t_0}"] = dataclasses.replace(
            base, method="freezeout", how_scale=how_scale, t_0=t_0, scale_lr=False
        )
    return named


def facts(named, costs):
    """Nothing is to be known beforehand."""
    return {label: {} for label in named}


def table(histories, facts):
    """One row per run: time, accuracy, and how these differ from others'.

    Accuracies are in percent, differences in points, paired over seeds, with their 95 % intervals:
    to nothing frozen; to the shorter run that takes about as long, if there is one; and, of the
    most accurate run that beats this one, over this one.
    """
    runs = by_method(histories)
    seconds = {label: np.mean([sum(run.seconds) for run in own]) for label, own in runs.items()}
    accuracies = {
        label: 100 * np.array([run.accuracy for run in own]) for label, own in runs.items()
    }
    rows = []
    for label, own in runs.items():
        shorter, better = _shorter(label, seconds), _beating(label, seconds, accuracies)
        rows.append(
            (
                *(label, seconds[label], 100 * (1 - seconds[label] / seconds[BASELINE])),
                100 * np.mean([*map(share_read, own)]),
                *(accuracies[label].mean(), deviation(accuracies[label])),
                *_over(accuracies, label, BASELINE),
                *(shorter, *_over(accuracies, label, shorter)),
                *(better, *_over(accuracies, better, label)),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _over(accuracies, label, other):
    """What one run has over another: mean and interval; NaN where there is none."""
    if not label or not other:
        return (np.nan,) * 3
    difference = accuracies[label] - accuracies[other]
    return difference.mean(), *paired_interval(difference)[1:]


def _shorter(label, seconds):
    """The shorter run whose time is nearest to that of a run, if it is about equal; else ''."""
    if label == BASELINE or ONLY in label:
        return ""
    apart = {
        other: abs(np.log(seconds[other] / seconds[label])) for other in seconds if ONLY in other
    }
    nearest = min(apart, key=apart.get, default="")
    return nearest if nearest and apart[nearest] <= np.log(ABOUT) else ""


def _beating(label, seconds, accuracies):
    """The most accurate of the runs that are faster and at least as accurate; '' if none are."""
    means = {other: accuracies[other].mean() for other in seconds}
    better = [
        other
        for other in seconds
        if seconds[other] < seconds[label] and means[other] >= means[label]
    ]
    return max(better, key=means.get, default="")


def statements(table, seeds):
    """Which K no other run beats, what beats the others, and what each has over shorter runs."""
    rows = table.to_dict("records")
    frozen = [row for row in rows if row["run"].startswith("annealed") and ONLY not in row["run"]]
    best = [_named(row) for row in rows if not row["beaten by"] and row in frozen]
    others = [_named(row) for row in rows if not row["beaten by"] and row not in frozen]
    said = ["With one seed, differences may be chance."] if seeds == 1 else []
    said.append(
        f"No other run is faster and on average at least as accurate as "
        f"{'; '.join(best) or 'none of the K'}"
        + (
            f". Nor as these, which freeze nothing for good: {'; '.join(others)}."
            if others
            else "."
        )
    )
    said += [
        f"{row['run']} is beaten by {row['beaten by']}, which is faster, at "
        f"{_points(row, 'by, points', 'by from', 'by to', seeds)}."
        for row in frozen
        if row["beaten by"]
    ]
    return said + [_against(row, seeds) for row in rows if ONLY not in row["run"]][1:]


def _named(row):
    return f"{row['run']} ({row['seconds']:.1f} s, {row['accuracy, %']:.2f} %)"


def _against(row, seeds):
    """What a run saves, and what it has over nothing frozen and over the shorter run."""
    saved, shorter = row["time saved, %"], row["shorter run of its time"]
    text = (
        f"{row['run']}: {less_time(saved)} than {BASELINE}, "
        f"{_points(row, 'over K=0, points', 'from', 'to', seeds)}"
    )
    if shorter:
        over = _points(row, "over that, points", "that from", "that to", seeds)
        text += f"; {over} over {shorter}, which takes about as long"
    return f"{text}."


def _points(row, difference, low, high, seeds):
    interval = f" ({chance(row[low], row[high], seeds)})" if seeds > 1 else ""
    return f"{row[difference]:+.2f} points{interval}"


def figure(table):
    """Accuracy against seconds, with the frontier."""
    made, axis = new_figure()
    best = table[table["beaten by"] == ""].sort_values("seconds")
    place = best["seconds"], best["accuracy, %"]
    label = "no other run beats these"
    axis.step(*place, where="post", color=INK[0], linewidth=1)
    axis.plot(*place, "o", color=INK[0], fillstyle="none", markersize=12, label=label)
    for kind, rows in table.groupby(table["run"].map(_kind), sort=False):
        errors = rows["deviation"].fillna(0)
        axis.errorbar(
            *(rows["seconds"], rows["accuracy, %"], errors),
            **{"fmt": MARKERS[kind], "capsize": 3, "label": kind, "color": INK[0]},
        )
    logarithmic(axis, "x", table["seconds"].min(), table["seconds"].max())
    axis.margins(x=0.2)
    axis.set_xlabel("Time of training, s")
    axis.set_ylabel("Accuracy, %")
    legend(made, *axis.get_legend_handles_labels())
    label_points(axis, table[["seconds", "accuracy, %"]].to_numpy(), table["run"].map(_short))
    return made


def _kind(label):
    if ONLY in label:
        return "nothing frozen, fewer iterations"
    return "FreezeOut" if label.startswith("freezeout") else "K blocks frozen for good"


def _short(label):
    """A label without what its colour says."""
    return label.removeprefix("annealed ").removeprefix("freezeout ").removeprefix("K=0, ")
