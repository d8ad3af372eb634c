"""The picture of a confusion matrix: how often each class is taken for another."""

import math

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba

from utils.palette import COLOURS
from utils.style import figure_width, font_size, new_figure, short_name

MOST_COUNTS = 20  # classes of which the cells have room for their counts
CELL = 0.24  # inches, with letters of 10 points
CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
DARKEST = 0.55  # opacity of a cell with all images of a class: its count can be read in any colour


def confusion_figure(matrices, names):
    """Confusion matrices side by side; the colour of a cell shows its share of the class.

    Parameters
    ----------
    matrices : dict from str to array_like, shape (classes, classes)
        By what is written above them. Rows are the true classes, columns what the network says.
    names : sequence of str
        Of the classes.
    """
    names = [short_name(name, 30) for name in names]
    counted = len(names) <= MOST_COUNTS
    longest = max(len(line) for name in names for line in name.splitlines())
    figure, axes = _panels(len(matrices), len(names), longest if counted else 3)
    for axis, (title, matrix) in zip(axes, matrices.items()):
        _draw(axis, np.asarray(matrix), counted)
        axis.set_title(short_name(title, 30))
        if counted:
            axis.set_xticks(range(len(names)), names, rotation=0 if longest < 3 else 90)
            axis.set_yticks(range(len(names)), names)
    return figure


def _panels(count, classes, letters):
    """A figure and the axes of so many matrices, whose labels have so many letters."""
    size = font_size() / 10
    least = size * (CELL * min(classes, MOST_COUNTS) + 0.09 * letters + 0.6)  # inches
    columns = min(count, max(1, int(figure_width() / least)))
    rows = math.ceil(count / columns)
    side = min(figure_width() / columns, 2 * least)
    figure, axes = new_figure(side * rows, (rows, columns))
    figure.supxlabel("Class that the network says", fontsize="medium")
    figure.supylabel("True class", fontsize="medium")
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    return figure, axes.flat[:count]


def shares(matrix):
    """The share of its class of each cell, shape (classes, classes)."""
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def _draw(axis, matrix, counted):
    """Draw the cells that are not empty, and their counts where there is room."""
    rows, columns = np.nonzero(matrix)
    opacities = DARKEST * np.sqrt(shares(matrix)[rows, columns])
    cells = np.stack([columns, rows], axis=1)[:, None] + CORNERS
    colours = [to_rgba(COLOURS[1][0], opacity) for opacity in opacities]
    axis.add_collection(PolyCollection(cells, facecolors=colours, linewidths=0))
    axis.set(xlim=(-0.5, len(matrix) - 0.5), ylim=(len(matrix) - 0.5, -0.5), aspect="equal")
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)
    for row, column in zip(rows, columns) if counted else ():
        count = matrix[row, column]
        axis.text(column, row, count, ha="center", va="center", fontsize=0.7 * font_size())
