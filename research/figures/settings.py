"""What the settings of a grid give: a heat map for each method."""

import pandas as pd
from matplotlib.patches import Rectangle

from research.figures.drawn import Drawn
from research.grid import as_text
from utils.palette import COLOURS, INK, SHADE
from utils.style import figure_width, font_size, new_panels, short_name

CAPTION = (
    "Accuracy over that of the matched baseline, in percentage points, for each setting, and below "
    "it the change of time. The stronger the colour, the larger the difference: blue is better, "
    "red with a dashed edge is worse."
)
COLUMNS = ["setting", "method", "row", "column", "difference, points", "time, %"]
BETTER, WORSE = SHADE[0], COLOURS[2][0]
STRONGEST = 0.55  # opacity, on which letters can still be read
ROW = 0.62  # inches of a row of cells


def drawn(histories, record, summary):
    """A panel for each method that has settings: the last option across, all others down."""
    data = _table(record.get("grid") or {}, record.get("methods") or {}, summary)
    if data.empty:
        return None
    methods = list(dict.fromkeys(data["method"]))
    most = max(data[data["method"] == method]["row"].nunique() for method in methods)
    size = font_size() / 10
    columns = max(1, min(len(methods), int(figure_width() / (3.4 * size))))
    height = size * (ROW * most + 0.9)
    figure, axes = new_panels(len(methods), columns, height, ("", ""))
    largest = data["difference, points"].abs().max() or 1
    for axis, method in zip(axes, methods):
        _draw(axis, data[data["method"] == method], largest)
        axis.set_title(short_name(method, 30))
    text = CAPTION + "".join(map(_said, data.to_dict("records")))
    return Drawn("settings", "Settings", text, figure, data)


def _table(grid, facts, summary):
    """A row for each setting that was run beside its baseline."""
    known = summary.set_index("method")
    rows = [
        (
            label,
            facts[label]["method"],
            as_text(dict([*values.items()][:-1])),
            as_text(dict([*values.items()][-1:])),
            100 * known["accuracy_mean"][label]
            - 100 * known["accuracy_mean"][known["baseline"][label]],
            100 * (known["time_ratio"][label] - 1),
        )
        for label, values in grid.items()
        if label in known.index and known["baseline"][label] in known.index
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _draw(axis, data, largest):
    """The cells of a method."""
    rows, columns = (list(dict.fromkeys(data[name])) for name in ("row", "column"))
    for cell in data.to_dict("records"):
        place = columns.index(cell["column"]), rows.index(cell["row"])
        gained = cell["difference, points"]
        better = gained >= 0
        axis.add_patch(
            Rectangle(
                (place[0] - 0.48, place[1] - 0.48),
                *(0.96, 0.96),
                facecolor=BETTER if better else WORSE,
                edgecolor=INK[0],
                linestyle="-" if better else (0, (4, 3)),
                linewidth=0.6,
                alpha=STRONGEST * abs(gained) / largest,
            )
        )
        time = cell["time, %"]
        below = "" if pd.isna(time) else f"\n{time:+.0f} % time"
        axis.text(*place, f"{gained:+.2f}{below}", ha="center", va="center")
    axis.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), [short_name(row, 24) for row in rows])
    axis.tick_params(length=0, labelbottom=True, labelleft=True)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def _said(cell):
    time = "" if pd.isna(cell["time, %"]) else f", {cell['time, %']:+.0f} % time"
    return f"\n{cell['setting']}: {cell['difference, points']:+.2f} points{time}."
