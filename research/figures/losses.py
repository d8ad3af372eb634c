"""Training loss over the iterations."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from research.figures.style import new_figure
from utils.plots import compare_curves

WINDOW = 20  # iterations that the curves are averaged over


def drawn(histories, record, summary):
    """The training loss of every method: its moving average, and the spread over seeds."""
    curves = {}
    for method, runs in by_method(histories).items():
        shortest = min(len(run) for run in runs)
        curves[method] = np.array([run.loss[:shortest] for run in runs])
    figure, axis = new_figure()
    compare_curves(curves, WINDOW, axis)
    axis.set_ylabel(f"Training loss (EWMA over {WINDOW})")
    axis.set_yscale("log")
    data = pd.DataFrame({method: pd.Series(rows.mean(0)) for method, rows in curves.items()})
    text = f"Moving average (EWMA) over {WINDOW} iterations. The scale is logarithmic."
    return Drawn("loss", "Training loss", text, figure, data)
