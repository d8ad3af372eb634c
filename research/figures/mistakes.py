"""Confusion matrices."""

import numpy as np
import pandas as pd

from research.figures.confusion import confusion_figure
from research.figures.drawn import Drawn

CAPTION = (
    "How many images of each class, in a row, are taken for which, in a column. The stronger the "
    "colour of a cell, the larger its share of the class."
)
MOST_MATRICES = 6  # of so many runs mistakes are shown, or else of the most accurate alone


def with_mistakes(histories):
    """The runs whose mistakes are shown."""
    runs = [history for history in histories if history.mistakes]
    if len(runs) > MOST_MATRICES:
        return [max(runs, key=lambda run: run.accuracy)]
    return runs


def class_names(runs, record):
    """The names of the classes, or their numbers."""
    return record.get("classes") or [
        str(number) for number in range(len(runs[0].mistakes["confusion"]))
    ]


def drawn(histories, record, summary):
    """How many images of each class are taken for which, if it is known."""
    runs = with_mistakes(histories)
    if not runs:
        return None
    names = class_names(runs, record)
    matrices = {f"{run.method}, seed {run.seed}": run.mistakes["confusion"] for run in runs}
    data = pd.concat(
        pd.DataFrame(np.array(matrix), names, names).rename_axis("true class").assign(run=run)
        for run, matrix in matrices.items()
    ).reset_index()
    text = CAPTION + "".join(_said(*item, names) for item in matrices.items())
    figure = confusion_figure(matrices, names)
    return Drawn("confusion", "Confusion matrix", text, figure, data)


def _said(run, matrix, names):
    """How many are right in a run, and the mistake that it makes most."""
    matrix = np.array(matrix)
    wrong = matrix - np.diag(matrix.diagonal())
    said = f"\n{run}: {matrix.trace():,} of {matrix.sum():,} are right."
    if not wrong.any():
        return said
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    return f"{said} Most often, {names[true]} is taken for {names[taken]} ({wrong.max():,} times)."
