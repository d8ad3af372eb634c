"""Plots that compare runs: they take arrays and return matplotlib axes.

All of them draw on the matplotlib `axis` that they are given, or else on that of a new figure, and
return it. None shows a figure or changes a global style. Methods have the looks of `utils.palette`.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from batch.checks import (
    finite,
    function,
    instance,
    optional,
    positive,
    positive_whole,
    received,
    sequence,
    text,
    true_or_false,
)
from batch.shown import short
from utils.palette import block_colours, looks_of

MOST_ITERATIONS = 1_000_000  # of which rates are drawn
PARAMETERS = ("degree", "iteration", "learning_rate", "scaled")


def ewma(values, window):
    """Exponentially weighted moving average, y_t = (1 − a)·y_{t−1} + a·x_t, a = 2/(window + 1).

    Parameters
    ----------
    values : array_like, shape (…, iterations)
    window : int
        The span, in iterations.

    Returns
    -------
    ndarray, the shape of `values`
    """
    values, window = finite("values", values, (1, 2, 3)), positive_whole("window", window)
    rows = pd.DataFrame(values.reshape(-1, values.shape[-1]).T)
    return rows.ewm(span=window, adjust=False).mean().to_numpy().T.reshape(values.shape)


def draw(
    first,
    first_label,
    second=None,
    second_label=None,
    type_data="loss",
    window=5,
    bound=None,
    axis=None,
):
    """Draw one or two curves: the values in faint colour, their moving average over them.

    Parameters
    ----------
    first, second : array_like, shape (iterations,)
        Values of the curves.
    first_label, second_label : str
        Their names.
    type_data : str
        What the values are, for the axis label and the legend.
    window : int
        Span of the moving average, in iterations.
    bound : sequence of four floats, optional
        Limits of the axes: left, right, bottom, top.
    axis : matplotlib.axes.Axes, optional
    """
    curves = [(finite("first", first), text("first_label", first_label))]
    if second is not None:
        curves.append((finite("second", second), text("second_label", second_label)))
    elif second_label is not None:
        raise ValueError(f"second_label needs second. {received(second_label)}")
    window, bound = positive_whole("window", window), optional(_limits, "bound", bound)
    type_data = text("type_data", type_data)
    axis = _axis(axis)
    looks = _looks([label for _, label in curves])
    for (values, label), look in zip(curves, looks):
        axis.plot(values, color=look.colour, alpha=0.25, linewidth=0.8)
        axis.plot(ewma(values, window), label=f"{label} {type_data}", **look.line(len(values)))
    axis.set_xlabel("Iteration")
    axis.set_ylabel(type_data.capitalize())
    if bound is not None:
        axis.axis(bound)
    axis.legend()
    return axis


def ax_draw(freeze_loss, res_loss, params, axis=None):
    """Draw the losses of a FreezeOut model and a classic one, titled with the parameters.

    Parameters
    ----------
    freeze_loss, res_loss : array_like, shape (iterations,)
        Losses of the two models.
    params : sequence or mapping
        degree, iteration, learning_rate and scaled, in this order or by these names.
    axis : matplotlib.axes.Axes, optional
    """
    named = _named(params)
    for name, losses in (("freeze_loss", freeze_loss), ("res_loss", res_loss)):
        finite(name, losses)
    axis = draw(freeze_loss, "FreezeOut", res_loss, "Classic ResNet", axis=axis)
    axis.set_title(
        f"learning rate {named['learning_rate']}, degree {named['degree']}, "
        f"iteration {named['iteration']}, {'' if named['scaled'] else 'un'}scaled"
    )
    return axis


def _named(params):
    """The parameters that a title shows, by their names, checked."""
    mapped = isinstance(params, Mapping)
    values = [] if mapped else sequence("params", params, f"{', '.join(PARAMETERS)}")
    named = params if mapped else dict(zip(PARAMETERS, values))
    missing = [name for name in PARAMETERS if name not in named]
    if missing or len(values) > len(PARAMETERS):
        problem = f"Missing: {', '.join(missing)}. " if missing else ""
        raise ValueError(f"params must give {', '.join(PARAMETERS)}. {problem}{received(params)}")
    true_or_false("scaled of params", named["scaled"])
    for name in PARAMETERS[:3]:
        positive(f"{name} of params", named[name])
    return named


def draw_rates(schedule, axis=None):
    """Draw the learning rate of every block over the iterations, until the last block stops.

    Parameters
    ----------
    schedule : FreezeOut, Annealed, or a callable with `last_iterations`
    axis : matplotlib.axes.Axes, optional
    """
    function("schedule", schedule, "a schedule")
    last = np.max(getattr(schedule, "last_iterations", np.inf))
    if not last <= MOST_ITERATIONS:
        raise ValueError(
            "schedule must say in last_iterations when each block stops, at most "
            f"{MOST_ITERATIONS:,}. Received: {type(schedule).__name__}, {last}"
        )
    axis = _axis(axis)
    iterations = np.arange(int(np.ceil(last)))
    rates = np.array([schedule(iteration) for iteration in iterations])
    for block, colour in enumerate(block_colours(rates.shape[1])):
        learning = rates[:, block] > 0
        place = iterations[learning], rates[learning, block]
        axis.plot(*place, color=colour, label=f"block {block}")
    axis.set_xlabel("Iteration")
    axis.set_ylabel("Learning rate")
    axis.legend()
    return axis


def compare_curves(curves, window=20, axis=None):
    """Draw the losses of any number of methods: the mean over seeds as a line, ± 1 std as a band.

    Parameters
    ----------
    curves : mapping from str to array_like, shape (iterations,) or (seeds, iterations)
        Losses of each method.
    window : int
        Span of the moving average, in iterations. Mean and deviation (over n − 1) are those of the
        averages.
    axis : matplotlib.axes.Axes, optional
    """
    if not isinstance(curves, Mapping) or not curves:
        raise TypeError(f"curves must be a dict of losses by name, not empty. {received(curves)}")
    window = positive_whole("window", window)
    curves = {
        text("a name in curves", name): finite(f"curves[{short(name)}]", losses, (1, 2))
        for name, losses in curves.items()
    }
    axis = _axis(axis)
    for (name, losses), look in zip(curves.items(), looks_of([*curves]).values()):
        mean, deviation = averages(losses, window)
        draw_average(axis, look, np.arange(mean.size), mean, deviation).set_label(name)
    axis.set_xlabel("Iteration")
    axis.set_ylabel("Loss")
    axis.legend()
    return axis


def averages(losses, window):
    """Mean and standard deviation (over n − 1; NaN for one) over seeds of the moving averages.

    Parameters
    ----------
    losses : array_like, shape (iterations,) or (seeds, iterations)
    window : int

    Returns
    -------
    mean, deviation : ndarray, shape (iterations,)
    """
    smooth = np.atleast_2d(ewma(losses, window))
    mean = smooth.mean(axis=0)
    return mean, smooth.std(axis=0, ddof=1) if len(smooth) > 1 else np.full_like(mean, np.nan)


def draw_average(axis, look, iterations, mean, deviation):
    """Draw a mean as a line and, where it is known, its deviation as a band; the line is returned.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    look : Look
    iterations, mean, deviation : array_like, shape (points,)
    """
    if np.isfinite(deviation).all():
        band = {"color": look.colour, "alpha": 0.15, "linewidth": 0}
        axis.fill_between(iterations, mean - deviation, mean + deviation, **band)
    return axis.plot(iterations, mean, **look.line(len(mean)))[0]


def _looks(labels):
    """Of curves whose names may be the same."""
    if len(set(labels)) < len(labels):
        labels = [f"{label} {number}" for number, label in enumerate(labels)]
    return looks_of(labels).values()


def _limits(name, bound):
    """Checked limits of the axes: left, right, bottom, top."""
    limits = finite(name, bound)
    if limits.shape != (4,) or limits[0] == limits[1] or limits[2] == limits[3]:
        raise ValueError(
            f"{name} must be four numbers: left, right, bottom, top. {received(bound)}"
        )
    return limits


def _axis(axis):
    if axis is None:
        return plt.subplots()[1]
    return instance("axis", axis, Axes, "a matplotlib axis")
