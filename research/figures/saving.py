"""Time saved: measured, and predicted."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.figures.drawn import Drawn
from research.figures.intervals import CUT, draw_mean, show
from utils.palette import INK, looks_of
from utils.style import new_rows

CAPTION = (
    "Time saved over the matched baseline, in percent: right is faster. Filled marks are measured, "
    "with 95 % intervals over seeds; rings below them were predicted from what the blocks cost."
)
MEASURED = ["measured, %", "low", "high"]
PREDICTED = "predicted, %"
BELOW = 0.3  # rows


def drawn(histories, record, summary):
    """A row a method: what it saved, and what it should have saved."""
    data = _table(summary)
    if data.empty:
        return None
    looks = looks_of([*by_method(histories)])
    figure, axis = new_rows([f"{row.method}\nover {row.baseline}" for row in data.itertuples()])
    axis.axvline(0, color=INK[0], linewidth=0.8)
    for place, row in enumerate(data.to_dict("records")):
        draw_mean(axis, looks[row["method"]], [row[name] for name in MEASURED], place)
        expected = {"linestyle": "", "color": INK[0], "fillstyle": "none"}
        axis.plot(row[PREDICTED], place + BELOW, "o", markersize=6, **expected)
    show(axis, "x", [*data[MEASURED[0]], *data[PREDICTED], 0], data[MEASURED[1:]])
    axis.set_xlabel("Time saved, %")
    text = CAPTION + CUT + "".join(map(_said, data.to_dict("records")))
    return Drawn("saving", "Time saved", text, figure, data)


def _table(summary):
    """Measured and predicted savings of the methods that have a baseline with known seconds."""
    predicted = dict(zip(summary["method"], summary["predicted_ratio"]))
    known = summary[summary["time_ratio"].notna() & summary["baseline"].notna()]
    expected = known["predicted_ratio"] / known["baseline"].map(predicted)
    ratios = {  # more of the time is less saved: the ends change places
        **dict(zip(MEASURED, (known[name] for name in ("time_ratio", "time_high", "time_low")))),
        PREDICTED: expected,
    }
    savings = {name: 100 * (1 - ratio.astype(float)) for name, ratio in ratios.items()}
    return pd.DataFrame({"method": known["method"], "baseline": known["baseline"], **savings})


def _said(row):
    measured, low, high = (row[name] for name in MEASURED)
    interval = "" if np.isnan(low) else f" ({low:.1f} to {high:.1f} %)"
    predicted = "" if np.isnan(row[PREDICTED]) else f"; predicted {row[PREDICTED]:.1f} %"
    return f"\n{row['method']} over {row['baseline']}: {measured:.1f} %{interval}{predicted}."
