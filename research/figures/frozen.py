"""Frozen blocks over the iterations."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from utils.palette import looks_of
from utils.style import legend, new_figure, whole_numbers

CAPTION = (
    "Leading blocks without a backward pass; a line for each way in which a method's seeds went. "
    "Lines that would hide each other are drawn a little apart."
)
APART = 0.07  # blocks


def drawn(histories, record, summary):
    """Leading frozen blocks of the methods that freeze any."""
    methods = by_method(histories)
    freezing = [method for method, runs in methods.items() if any(any(run.frozen) for run in runs)]
    if not freezing:
        return None
    data = pd.concat([_changes(run) for method in freezing for run in methods[method]])
    looks = looks_of([*methods])
    figure, axis = new_figure()
    places = np.arange(len(freezing)) - (len(freezing) - 1) / 2
    apart = min(APART, 0.6 / len(freezing)) * places
    lines = [
        _draw(axis, _different(methods[method]), looks[method], higher)
        for method, higher in zip(freezing, apart)
    ]
    whole_numbers(axis.xaxis, axis.yaxis)
    axis.set_xlabel("Iteration")
    axis.set_ylabel("Frozen blocks")
    legend(figure, lines, freezing)
    others = ", ".join(method for method in methods if method not in freezing)
    text = CAPTION + (f" Nothing is frozen by {others}." if others else "")
    text += "".join(_said(method, methods[method][0]) for method in freezing)
    return Drawn("frozen", "Frozen blocks", text, figure, data)


def _different(runs):
    """Runs of a method, of those that froze alike the first."""
    return list({tuple(run.frozen): run for run in reversed(runs)}.values())[::-1]


def _changes(run):
    """A row for each iteration where the number of frozen blocks changes, and for the last."""
    frozen = np.array(run.frozen)
    rows = np.union1d(np.flatnonzero(np.diff(frozen, prepend=-1)), len(frozen) - 1)
    columns = {"iteration": rows, "frozen": frozen[rows]}
    return pd.DataFrame({"method": run.method, "seed": run.seed, **columns})


def _draw(axis, runs, look, higher):
    """Draw the frozen blocks of a method's runs; the line of the first is returned."""
    for run in reversed(runs):
        iterations, frozen = _changes(run)[["iteration", "frozen"]].to_numpy().T
        ends = [*iterations, len(run)]
        heights = higher + np.append(frozen, frozen[-1])
        (line,) = axis.plot(ends, heights, drawstyle="steps-post", **look.line(len(ends)))
    return line


def _said(method, run):
    changes = _changes(run)
    first = changes[changes["frozen"] > 0].iloc[0] if any(run.frozen) else None
    start = "" if first is None else f" the first from iteration {first['iteration']} on,"
    return f"\n{method}:{start} {max(run.frozen)} at most, {run.frozen[-1]} at the end."
