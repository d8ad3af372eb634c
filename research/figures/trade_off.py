"""Accuracy against time."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from research.figures.style import new_figure


def drawn(histories, record, summary):
    """Accuracy against time: a dot a run, a cross a method."""
    figure, axis = new_figure()
    rows = []
    for method, runs in by_method(histories).items():
        seconds = [sum(run.seconds) for run in runs]
        accuracies = [100 * run.accuracy for run in runs]
        dots = axis.scatter(seconds, accuracies, label=method, alpha=0.5)
        colour = dots.get_facecolor()[0, :3]
        axis.scatter(np.mean(seconds), np.mean(accuracies), marker="x", s=90, color=colour)
        rows += zip([method] * len(runs), [run.seed for run in runs], seconds, accuracies)
    axis.set_xlabel("Seconds of training")
    axis.set_ylabel("Accuracy, %")
    axis.legend()
    data = pd.DataFrame(rows, columns=["method", "seed", "seconds", "accuracy, %"])
    text = "Each dot is a run, each cross the mean of a method: up is better, left is faster."
    return Drawn("frontier", "Accuracy and time", text, figure, data)
