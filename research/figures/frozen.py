"""Frozen blocks over the iterations."""

import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from research.figures.style import new_figure


def drawn(histories, record, summary):
    """Leading frozen blocks, a line for each seed where they differ."""
    if not any(any(history.frozen) for history in histories):
        return None
    figure, axis = new_figure()
    columns = {}
    for number, (method, runs) in enumerate(by_method(histories).items()):
        for frozen in {tuple(run.frozen): None for run in runs}:
            label = method if frozen == tuple(runs[0].frozen) else None
            axis.step(range(len(frozen)), frozen, f"C{number}", where="post", label=label)
        columns[method] = pd.Series(runs[0].frozen)
    axis.set_xlabel("Iteration")
    axis.set_ylabel("Frozen blocks")
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    text = "Leading blocks without a backward pass; where seeds differ, a line for each."
    return Drawn("frozen", "Frozen blocks", text, figure, pd.DataFrame(columns))
