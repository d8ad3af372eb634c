"""Learning rates of the blocks over the iterations."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from utils.palette import block_colours
from utils.style import figure_width, font_size, legend, new_panels, short_name, whole_numbers

CAPTION = (
    "Learning rate of each block over the iterations. A line ends where its block is frozen; of "
    "blocks with the same rates, the last is drawn."
)
PANEL = 2.1, 1.7  # inches: least width, and height, with letters of 10 points


def drawn(histories, record, summary):
    """A panel a method, a line a block, of the methods whose rates are known."""
    methods = by_method(histories)
    known = [next((run for run in runs if run.rates), None) for runs in methods.values()]
    tables = {run.method: _table(run) for run in known if run}
    if not tables:
        return None
    size = font_size() / 10
    columns = min(len(tables), max(1, int(figure_width() / (PANEL[0] * size))))
    labels = "Iteration", "Learning rate"
    figure, axes = new_panels(len(tables), columns, PANEL[1] * size, labels)
    names = max((list(table) for table in tables.values()), key=len)
    colours = block_colours(len(names))
    for axis, (method, table) in zip(axes, tables.items()):
        _draw(axis, table, colours)
        axis.set_title(short_name(method, 24))
    axes[0].set_ylim(bottom=0)
    whole_numbers(axes[0].xaxis)
    marks = {colour: axes[0].plot([], [], color=colour)[0] for colour in dict.fromkeys(colours)}
    legend(figure, list(marks.values()), _groups(names, colours))
    text = CAPTION + _differing(methods) + "".join(map(_said, tables.items()))
    data = pd.concat(tables, names=["method"]).reset_index()
    return Drawn("rates", "Learning rates", text, figure, data)


def _table(run):
    """Rates of the blocks: a row for each iteration from which on they were in force.

    The classifier has a column of its own where it does not follow the last block. The last row is
    for the end.
    """
    iterations, rates = zip(*run.rates)
    names = [f"block {number}" for number in range(len(rates[0]) - 1)]
    index = pd.Index([*iterations, len(run)], name="iteration")
    table = pd.DataFrame([*rates, rates[-1]], index, [*names, "classifier"])
    same = names and table["classifier"].equals(table[names[-1]])
    return table.drop(columns="classifier") if same else table


def _groups(names, colours):
    """What each colour stands for: 'block 3', or 'block 3 to block 5'."""
    groups = {}
    for name, colour in zip(names, colours):
        groups.setdefault(colour, []).append(name)
    return [own[0] if len(own) == 1 else f"{own[0]} to {own[-1]}" for own in groups.values()]


def _draw(axis, table, colours):
    """Draw the rates as steps; those of frozen blocks are not there."""
    seen = []
    for rates, colour in list(zip(table.to_numpy().T, colours))[::-1]:
        if any(np.array_equal(rates, others) for others in seen):
            continue
        seen.append(rates)
        steps = np.repeat(np.where(rates > 0, rates, np.nan), 2)[:-1]
        axis.plot(np.repeat(table.index, 2)[1:], steps, color=colour)


def _differing(methods):
    """That only one of several runs is drawn, if their rates differ."""
    differ = [
        method
        for method, runs in methods.items()
        if any(run.rates != runs[0].rates for run in runs if run.rates)
    ]
    return f" Seeds of {', '.join(differ)} differ: their first is drawn." if differ else ""


def _said(item):
    method, table = item
    first, last = table.iloc[0], table.iloc[-1]
    stopped = f"{(last == 0).sum()} of {last.size} blocks are frozen at the end"
    return (
        f"\n{method}: {first.min():.3g} to {first.max():.3g} at first, {last.max():.3g} at most at "
        f"the end; {stopped}."
    )
