"""Means with their intervals: computed, drawn, and kept within the figure."""

import numpy as np

from research.verdicts.statistics import paired_interval

ROOM = 0.06  # of what is shown, on either side
BEYOND = 1.0  # how far intervals may widen what is shown, in spans of the values
CUT = " Intervals that leave the figure are longer."  # for captions


def interval(values):
    """The mean of values and its 95 % interval: NaN for fewer than 2 or where all agree.

    Returns
    -------
    mean, low, high : float
    """
    _, low, high = paired_interval(values)
    return np.mean(values), low, high


def draw_mean(axis, look, x, y):
    """Draw a mean and its intervals.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    look : Look
    x, y : float, or tuple of three floats
        A place, or a mean, low and high.

    Returns
    -------
    matplotlib.lines.Line2D
        The mark, for a legend.
    """
    (x, *across), (y, *up) = np.atleast_1d(x), np.atleast_1d(y)
    if np.isfinite(across).any():
        axis.errorbar(x, y, xerr=_reach(x, across), color=look.colour, capsize=3)
    if np.isfinite(up).any():
        axis.errorbar(x, y, yerr=_reach(y, up), color=look.colour, capsize=3)
    return axis.plot(x, y, linestyle="", **look.mark | {"markersize": 8})[0]


def draw_runs(axis, look, x, y):
    """Draw single runs, or what single seeds gave."""
    axis.plot(x, y, linestyle="", alpha=0.5, **look.mark | {"markersize": 3.5})


def show(axis, which, values, bounds):
    """Show all values of an axis and, of intervals, what is not farther than they span.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    which : str
        'x' or 'y'.
    values, bounds : array_like
        NaN where there is none.
    """
    log = getattr(axis, f"get_{which}scale")() == "log"
    values, bounds = (_flat(some, log) for some in (values, bounds))
    low, high = values.min(), values.max()
    span = (high - low) or abs(high) * 0.1 or 1.0
    ends = np.append(values, bounds)
    low, high = max(ends.min(), low - BEYOND * span), min(ends.max(), high + BEYOND * span)
    room = ROOM * (high - low) or span
    limits = np.array([low - room, high + room])
    axis.set(**{f"{which}lim": np.exp(limits) if log else limits})


def _flat(values, log):
    """The finite values, or their logarithms."""
    flat = np.ravel(np.asarray(values, dtype=float))
    if log:
        flat = np.log(flat[flat > 0])
    return flat[np.isfinite(flat)]


def _reach(mean, ends):
    return np.abs(np.subtract(ends, mean))[:, None]
