"""Accuracy against time."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from research.figures.intervals import CUT, draw_mean, draw_runs, interval, show
from utils.palette import INK, looks_of
from utils.style import legend, logarithmic, new_figure

CAPTION = (
    "Accuracy against the time of training: up is better, left is faster. Large marks are means "
    "with 95 % intervals over seeds, small ones runs; the line joins the methods that no other "
    "beats in both."
)
SECONDS = ["seconds", "seconds low", "seconds high"]
ACCURACY = ["accuracy, %", "accuracy low", "accuracy high"]


def drawn(histories, record, summary):
    """Every method's accuracy and time with their intervals, and the frontier."""
    if len(histories) < 2:
        return None
    points = {
        method: np.array([(sum(run.seconds), 100 * run.accuracy) for run in runs])
        for method, runs in by_method(histories).items()
    }
    means = _means(points)
    figure, axis = new_figure()
    _draw_frontier(axis, means)
    marks = []
    for method, look in looks_of([*points]).items():
        draw_runs(axis, look, *points[method].T)
        mean = means.loc[method]
        marks.append(draw_mean(axis, look, mean[SECONDS], mean[ACCURACY]))
    seconds, accuracies = np.concatenate([*points.values()]).T
    logarithmic(axis, "x", seconds.min(), seconds.max())
    show(axis, "x", seconds, means[SECONDS])
    show(axis, "y", accuracies, means[ACCURACY])
    axis.set_xlabel("Time of training, s")
    axis.set_ylabel("Accuracy, %")
    legend(figure, marks, [*points])
    text = CAPTION + CUT + "".join(map(_said, means.itertuples()))
    return Drawn("frontier", "Accuracy and time", text, figure, means.reset_index())


def _means(points):
    """A row a method: its means, intervals, and whether it is on the frontier."""
    rows = []
    for runs in points.values():
        seconds, accuracies = (interval(values) for values in runs.T)
        rows.append([len(runs), *np.maximum(seconds, 0), *np.clip(accuracies, 0, 100)])
    index = pd.Index(points, name="method")
    means = pd.DataFrame(rows, index, ["seeds", *SECONDS, *ACCURACY])
    return means.assign(frontier=_unbeaten(means[SECONDS[0]], means[ACCURACY[0]]))


def _unbeaten(seconds, accuracies):
    """Whether none is at least as fast and as accurate, and better in either."""
    seconds, accuracies = seconds.to_numpy(), accuracies.to_numpy()
    as_good = (seconds <= seconds[:, None]) & (accuracies >= accuracies[:, None])
    better = (seconds < seconds[:, None]) | (accuracies > accuracies[:, None])
    return ~(as_good & better).any(axis=1)


def _draw_frontier(axis, means):
    best = means[means["frontier"]].sort_values(SECONDS[0])
    axis.step(best[SECONDS[0]], best[ACCURACY[0]], where="post", color=INK[0], linewidth=0.8)


def _said(row):
    method, _, seconds, _, _, accuracy, _, _, best = row
    where = "on" if best else "off"
    return f"\n{method}: {accuracy:.2f} % after {seconds:.3g} s, {where} the frontier."
