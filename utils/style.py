"""How our figures look: one style, at the width of a page or of a column in print."""

import contextlib
import math
import textwrap

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from batch.checks import positive
from utils.palette import COLOURS, GRID, INK, PAPER

PAGE, COLUMN = 7.2, 3.5  # inches: widths of a figure on the page, and of a column in print
RATIO = 0.6  # height of a figure over its width
LONGEST = 60  # characters of a name
ROW = 0.3  # inches, with letters of 10 points
COLOURED = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")


@contextlib.contextmanager
def styled(width=PAGE):
    """Within this context, figures have our style, whatever the user's style and matplotlibrc.

    Parameters
    ----------
    width : float
        Of a figure, in inches. Below the width of a page, lines and letters are smaller.
    """
    width = positive("width", width)
    size = 10 if width >= PAGE else 8
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                **dict.fromkeys(COLOURED, INK[0]),
                **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
                **dict.fromkeys(("axes.labelsize", "legend.fontsize"), "medium"),
                **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 0.9 * size),
                **dict.fromkeys(("figure.facecolor", "savefig.facecolor"), PAPER[0]),
                "axes.axisbelow": True,
                "axes.grid": True,
                "axes.prop_cycle": cycler(color=[light for light, _ in COLOURS]),
                "axes.titlesize": "medium",
                "figure.figsize": (width, RATIO * width),
                "font.size": size,
                "grid.color": GRID[0],
                "grid.linewidth": 0.6,
                "legend.frameon": False,
                "lines.linewidth": size / 6,
                "pdf.fonttype": 42,  # letters that can be searched for and edited
                "svg.fonttype": "path",  # so that letters look the same everywhere
                "svg.hashsalt": "figure",  # and ids are the same each time
                "text.parse_math": False,  # names may hold dollars
            }
        )
        yield


def new_figure(height=None, panels=None, sharex=True):
    """A figure of the style in force, and its axis.

    Parameters
    ----------
    height : float, optional
        In inches.
    panels : tuple of two ints, optional
        Rows and columns of panels, which share their axes: then there is an array of axes.
    sharex : bool
        Whether panels share that of x, too.
    """
    figure = Figure(layout="constrained")
    if height:
        figure.set_figheight(height)
    if panels:
        return figure, figure.subplots(*panels, sharex=sharex, sharey=True, squeeze=False)
    return figure, figure.subplots()


def new_rows(names):
    """A figure of the style in force, and its axis, with a row for each name, the first on top."""
    lines = [short_name(name, 24) for name in names]
    heights = sum(max(1.4, name.count("\n") + 1) for name in lines)
    figure, axis = new_figure(height=ROW * font_size() / 10 * (heights + 3))  # 3 of the axis
    axis.set_yticks(range(len(lines)), lines)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.tick_params("y", length=0)
    axis.grid(visible=False, axis="y")
    return figure, axis


def figure_width():
    """Of figures of the style in force, in inches."""
    return matplotlib.rcParams["figure.figsize"][0]


def font_size():
    """Of the style in force, in points."""
    return matplotlib.rcParams["font.size"]


def short_name(name, characters=LONGEST):
    """A name on lines of so many characters; the middle of a very long one is left out."""
    name = " ".join(name.split())
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 :]}"
    return textwrap.fill(name, characters, break_long_words=True)


def legend(figure, handles, names, title=None):
    """A legend below the axes, where it covers nothing; the figure grows by its height.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    handles : sequence of matplotlib.artist.Artist
    names : sequence of str
    title : str, optional
    """
    if not names:
        return
    width, height = figure.get_size_inches()
    letters = 72 * width / (0.62 * font_size())  # in a line
    names = [short_name(name, max(8, int(letters) - 8)) for name in names]
    longest = max(len(line) for name in names for line in name.splitlines())
    columns = min(len(names), max(1, int(letters / (longest + 6))))
    rows = math.ceil(len(names) / columns)
    columns = math.ceil(len(names) / rows)
    lines = rows * max(name.count("\n") + 1 for name in names) + bool(title)
    figure.set_figheight(height + 1.45 * lines * font_size() / 72)
    figure.legend(
        handles, names, title=title, ncols=columns, loc="outside lower center", columnspacing=1.2
    )


def logarithmic(axes, which, low, high):
    """Make an axis logarithmic, with plain numbers, if its values span more than a factor of 3.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    which : str
        'x' or 'y'.
    low, high : float
        Its lowest and highest values.

    Returns
    -------
    bool
        Whether it is logarithmic.
    """
    if not 0 < 3 * low < high:
        return False
    axes.set(**{f"{which}scale": "log"})
    axis = getattr(axes, f"{which}axis")
    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    return True
