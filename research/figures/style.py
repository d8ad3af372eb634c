"""How figures look: one style, at the width of the page or of a column in print."""

import contextlib

import matplotlib
from matplotlib.figure import Figure

PAGE, PAPER = 7.2, 3.5  # inches: widths of a figure on the page, and of a column in print


@contextlib.contextmanager
def styled(width=PAGE):
    """Within this context, figures have our style, whatever the user's style and matplotlibrc."""
    paper = width == PAPER
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "figure.figsize": (width, 0.62 * width),
                "font.size": 8 if paper else 10,
                "text.parse_math": False,
                "svg.hashsalt": "resbatch",
            }
        )
        yield


def new_figure():
    """A figure of the style in force, with an axis."""
    figure = Figure(layout="constrained")
    axis = figure.subplots()
    axis.grid(alpha=0.3)
    return figure, axis
