"""Training loss over the iterations."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from research.figures.intervals import show
from research.verdicts.labels import facts_of
from utils.palette import looks_of
from utils.plots import averages, draw_average
from utils.style import legend, logarithmic, new_figure, whole_numbers

WINDOW = 20  # iterations: the span of the moving average
MOST = 300  # points of a curve
DROPPED = "With stochastic depth, the loss is that of the network without what it dropped. "


def drawn(histories, record, summary):
    """The training loss of every method: faint, and strong its moving average with a band."""
    methods = by_method(histories)
    curves = {method: _curve(runs) for method, runs in methods.items()}
    figure, axis = new_figure()
    lines = [_draw(axis, curves[method], look) for method, look in looks_of([*curves]).items()]
    data = pd.concat(curves, names=["method", None]).reset_index("method")
    log = logarithmic(axis, "y", data["average"].min(), data["average"].max())
    shown = data["loss"].quantile([0.02, 0.98]), data["average"]
    show(axis, "y", pd.concat(shown), [])
    whole_numbers(axis.xaxis)
    axis.set_xlabel("Iteration")
    axis.set_ylabel(f"Training loss\n(EWMA, span {WINDOW})")
    legend(figure, lines, [*curves])
    text = _caption(methods, record, log) + "".join(map(_said, curves.items()))
    return Drawn("loss", "Training loss", text, figure, data)


def _curve(runs):
    """What is drawn of a method: means over its runs, as far as the shortest of them goes."""
    shortest = min(len(run) for run in runs)
    losses = np.array([run.loss[:shortest] for run in runs])
    mean, deviation = averages(losses, WINDOW)
    rows = np.unique(np.linspace(0, shortest - 1, MOST).astype(int))
    return pd.DataFrame(
        {
            "iteration": rows,
            "loss": losses.mean(axis=0)[rows],
            "average": mean[rows],
            "deviation": deviation[rows],
        }
    )


def _draw(axis, curve, look):
    axis.plot(curve["iteration"], curve["loss"], color=look.colour, alpha=0.3, linewidth=0.7)
    points = (curve[name] for name in ("iteration", "average", "deviation"))
    return draw_average(axis, look, *points)


def _caption(methods, record, log):
    seeds = max(len(runs) for runs in methods.values())
    facts = facts_of(methods, record.get("methods")).values()
    return (
        f"Training loss{' (mean over seeds)' if seeds > 1 else ''}: faint as it is, strong its "
        f"moving average (EWMA, span {WINDOW} iterations); "
        + ("the band is ± 1 standard deviation over seeds (n − 1). " if seeds > 1 else "")
        + (DROPPED if any(each["action"] == "train_stochastic" for each in facts) else "")
        + ("The scale is logarithmic." if log else "")
    ).strip(" ;")


def _said(item):
    method, curve = item
    first, last = curve.iloc[0], curve.iloc[-1]
    return (
        f"\n{method}: {first['average']:.3g} at first, an average of {last['average']:.3g} at "
        f"iteration {last['iteration']:.0f}."
    )
