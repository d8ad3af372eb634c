"""The picture of a confusion matrix: how often each class is taken for another."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from utils.palette import SHADE
from utils.style import figure_width, font_size, new_panels, short_name

MOST_COUNTS = 20  # classes of which the cells have room for their counts
CELL = 0.17  # inches, with letters of 10 points
CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
STEPS = 32  # of colour
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
    figure, axes, side = _panels(len(matrices), len(names), longest if counted else 3)
    room = 0.6 * 72 * side / len(names) if counted else 0  # points of a cell, about
    for axis, (title, matrix) in zip(axes, matrices.items()):
        _draw(axis, np.asarray(matrix), room)
        axis.set_title(short_name(title, 30))
        if counted:
            axis.set_xticks(range(len(names)), names, rotation=0 if longest < 3 else 90)
            axis.set_yticks(range(len(names)), names)
    return figure


def _panels(count, classes, letters):
    """A figure, the axes of so many matrices, whose labels have so many letters, and their side."""
    size = font_size() / 10
    least = size * (CELL * min(classes, MOST_COUNTS) + 0.09 * letters + 0.35)  # inches
    columns = min(count, max(1, int(figure_width() / least)))
    side = min(figure_width() / columns, 2 * least)
    return *new_panels(count, columns, side, ("Predicted class", "True class")), side


def shares(matrix):
    """The share of its class of each cell, shape (classes, classes)."""
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def _draw(axis, matrix, room):
    """Draw the cells that are not empty, and their counts where there is room, in points."""
    rows, columns = np.nonzero(matrix)
    steps = np.ceil(STEPS * np.sqrt(shares(matrix)[rows, columns]))
    for step in np.unique(steps):  # cells of a colour as one path, for they may be thousands
        corners = np.stack([columns, rows], axis=1)[steps == step][:, None] + CORNERS
        path = Path.make_compound_path(*map(Path, corners))
        colour = to_rgba(SHADE[0], DARKEST * step / STEPS)
        axis.add_patch(PathPatch(path, facecolor=colour, linewidth=0))
    axis.set(xlim=(-0.5, len(matrix) - 0.5), ylim=(len(matrix) - 0.5, -0.5), aspect="equal")
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)
    size = min(0.8 * font_size(), room / (0.65 * len(str(matrix.max()))))
    for row, column in zip(rows, columns) if room else ():
        count = matrix[row, column]
        axis.text(column, row, count, ha="center", va="center", fontsize=size)
