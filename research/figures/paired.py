"""Differences in accuracy to the baselines, seed by seed."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from research.figures.intervals import CUT, draw_mean, draw_runs, show
from research.names import MARGIN
from research.verdicts.statistics import interval_text
from utils.palette import GRID, INK, looks_of
from utils.style import new_rows

CAPTION = (
    "Accuracy over that of the matched baseline, in percentage points, on the same seeds: right is "
    "better. Large marks are means with 95 % intervals, small ones single seeds. The dashed line "
    "is the margin: a method that surely loses less than {margin:g} points is no worse."
)
COLUMNS = ["method", "baseline", "seed", "difference, points", "low", "high"]
MEAN = "mean"  # in the column of seeds
ABOVE = {  # the axis, at the left of a line
    **{"xycoords": ("data", "axes fraction"), "textcoords": "offset points"},
    **{"horizontalalignment": "right", "fontsize": "small"},
}
BELOW = 0.22, 0.42  # rows, from means to the first and the last seed


def drawn(histories, record, summary):
    """A forest plot: a row a method, its seeds, their mean and interval, and the margin."""
    compared = summary[summary["pairs"] > 0]
    if compared.empty:
        return None
    margin = record["settings"].get("margin", MARGIN)
    data = _table(compared, histories)
    looks = looks_of([*by_method(histories)])
    figure, axis = new_rows([f"{row.method}\nover {row.baseline}" for row in compared.itertuples()])
    axis.axvspan(-margin, 0, color=GRID[0], alpha=0.5, linewidth=0)
    axis.axvline(-margin, color=INK[0], linewidth=0.8, linestyle=(0, (4, 3)))
    axis.axvline(0, color=INK[0], linewidth=0.8)
    for place, method in enumerate(compared["method"]):
        own = data[data["method"] == method].set_index("seed")[COLUMNS[3:]]
        seeds = own.drop(MEAN)["difference, points"]
        draw_runs(axis, looks[method], seeds, place + np.linspace(*BELOW, len(seeds)))
        draw_mean(axis, looks[method], own.loc[MEAN], place)
    show(axis, "x", [*data["difference, points"], 0, -margin], data[["low", "high"]])
    axis.annotate("margin", (-margin, 1), (-2, 2), **ABOVE)
    axis.set_xlabel("Difference in accuracy, percentage points")
    text = CAPTION.format(margin=margin) + CUT + "".join(map(_said, compared.to_dict("records")))
    return Drawn("paired", "Paired differences", text, figure, data)


def _table(compared, histories):
    """A row a seed and one of means, for each method."""
    accuracies = {(run.method, run.seed): 100 * run.accuracy for run in histories}
    rows = []
    for row in compared.to_dict("records"):
        method, baseline = row["method"], row["baseline"]
        rows += [
            (method, baseline, seed, accuracy - accuracies[baseline, seed], None, None)
            for (own, seed), accuracy in accuracies.items()
            if own == method and (baseline, seed) in accuracies
        ]
        means = (100 * row[name] for name in ("difference", "ci_low", "ci_high"))
        rows.append((method, baseline, MEAN, *means))
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[3:], float))


def _said(row):
    if row["pairs"] < 2:
        return f"\n{row['method']}: one seed says nothing about accuracy."
    interval = interval_text(100 * row["ci_low"], 100 * row["ci_high"])
    return (
        f"\n{row['method']} over {row['baseline']}: {100 * row['difference']:+.2f} points, "
        f"{interval}, over {row['pairs']} seeds."
    )
