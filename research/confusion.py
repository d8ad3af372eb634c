"""The picture of a confusion matrix: how often each class is taken for another."""

import numpy as np
from matplotlib.figure import Figure

MOST_COUNTS = 20  # classes of which the cells have room for their counts
SIDE = 4.2  # inches, of a matrix


def confusion_figure(matrices, names):
    """Confusion matrices side by side, each row in shares of its class.

    Parameters
    ----------
    matrices : dict from str to array_like, shape (classes, classes)
        By what is written above them. Rows are the true classes, columns what the network says.
    names : sequence of str
        Of the classes.
    """
    columns = min(len(matrices), 3)
    rows = -(-len(matrices) // columns)
    side = SIDE + 0.18 * max(0, min(len(names), MOST_COUNTS) - 10)
    figure = Figure(figsize=(side * columns + 0.6, side * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, number + 1) for number in range(len(matrices))]
    for axis, (title, matrix) in zip(axes, matrices.items()):
        shown = _draw(axis, np.asarray(matrix), names)
        axis.set_title(title)
    figure.colorbar(shown, ax=axes, label="Share of the class", shrink=0.8)
    return figure


def _draw(axis, matrix, names):
    """Draw a matrix; what its colours belong to is returned."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shown = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xlabel("Class that the network says")
    axis.set_ylabel("True class")
    if len(names) > MOST_COUNTS:
        return shown
    upright = all(len(name) < 3 for name in names)
    axis.set_xticks(range(len(names)), names, rotation=0 if upright else 90)
    axis.set_yticks(range(len(names)), names)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, count, ha="center", va="center", color=colour, fontsize=7)
    return shown
