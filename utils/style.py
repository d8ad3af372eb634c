"""How our figures look: one style, at the width of a page or of a column in print."""

import contextlib
import math
import textwrap

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from batch.checks import positive
from utils.palette import COLOURS, GRID, INK, PAPER

PAGE, COLUMN = 7.2, 3.5  # inches: widths of a figure on the page, and of a column in print
RATIO = 0.6, 0.7  # height of a figure over its width, on the page and in a column
LONGEST = 60  # characters of a name
ROW, LINE = 0.2, 0.17  # inches of a row, and of a line in it, with letters of 10 points
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
    size, ratio = (10, RATIO[0]) if width >= PAGE else (8, RATIO[1])
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
                "figure.figsize": (width, ratio * width),
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


def new_figure(height=None):
    """A figure of the style in force, by default of its height, and its axis."""
    figure = Figure(layout="constrained")
    if height:
        figure.set_figheight(height)
    return figure, figure.subplots()


def new_panels(count, columns, height, labels):
    """A figure of the style in force with panels of one scale, and their axes.

    Parameters
    ----------
    count, columns : int
    height : float
        Of a panel, in inches.
    labels : tuple of two str
        Of x, and of y.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
    """
    figure, rows = Figure(layout="constrained"), math.ceil(count / columns)
    figure.set_figheight(height * rows + 0.04 * font_size())  # for the labels of x
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    for axis in axes[max(0, count - columns) : count]:  # below them there is none
        axis.set_xlabel(labels[0])
        axis.tick_params("x", labelbottom=True)
    for axis in axes[:count:columns]:
        axis.set_ylabel(labels[1])
    return figure, axes[:count]


def new_rows(names):
    """A figure of the style in force, and its axis, with a row for each name, the first on top.

    Parameters
    ----------
    names : sequence of str
        Lines of them are kept short each.
    """
    lines = ["\n".join(short_name(line, 28) for line in name.splitlines()) for name in names]
    most = max(name.count("\n") + 1 for name in lines)
    height = (ROW + LINE * most) * len(lines) + 0.7  # of the axis
    figure, axis = new_figure(height * font_size() / 10)
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


def text_size(text, size=None):
    """Width and height of a line of text in points, by default in the size of the style."""
    properties = FontProperties(size=size or font_size())
    return TextToPath().get_text_width_height_descent(text, properties, ismath=False)[:2]


def short_name(name, characters=LONGEST):
    """A name on lines of so many characters; the middle of a very long one is left out."""
    name = " ".join(name.split()) or repr(name)
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 :]}"
    return textwrap.fill(name, characters, break_long_words=True)


def legend(figure, handles, names):
    """A legend below the axes, where it covers nothing; the figure grows by its height.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    handles : sequence of matplotlib.artist.Artist
    names : sequence of str
    """
    if not names:
        return
    width, height = figure.get_size_inches()
    size = font_size()
    names = [short_name(name, max(8, int(100 * width / size))) for name in names]
    widest = max(text_size(line)[0] for name in names for line in name.splitlines())
    columns = min(len(names), max(1, int(72 * width / (widest + 4.5 * size))))
    rows = math.ceil(len(names) / columns)
    columns = math.ceil(len(names) / rows)
    lines = rows * max(name.count("\n") + 1 for name in names)
    figure.set_figheight(height + 1.45 * lines * size / 72)
    figure.legend(handles, names, ncols=columns, loc="outside lower center", columnspacing=1.2)


def whole_numbers(*axes):
    """Let axes, as `Axes.xaxis`, have ticks at whole numbers alone."""
    for axis in axes:
        axis.get_major_locator().set_params(integer=True)


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
