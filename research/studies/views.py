"""What a few fixed crops of each image cost in accuracy, and what the cache then saves.

Crops and flips that are drawn anew in every step leave nothing that could be kept of what frozen
blocks compute. With K views of each image (`batch.training.views`) it can be kept. Here FreezeOut
trains with several K and without views, and the matched baseline, which freezes nothing, without.
"""

import dataclasses

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.studies import share_read
from research.verdicts.statistics import chance, deviation, less_time, paired_interval
from utils.palette import INK, looks_of
from utils.style import legend, new_figure

VIEWS = (1, 4, 8, 16)
BASELINE = "freezeout without views"
FREEZING = {"method": "freezeout", "how_scale": "cubic", "scale_lr": False, "t_0": 0.25}
TITLE = "Views: fixed crops that can be kept"
CAPTION = (
    "Difference in accuracy to the same training without views against the time saved, with its "
    "95 % interval where there are seeds enough: up is better, right is faster."
)
DECIMALS = dict.fromkeys(("accuracy, %", "deviation", "difference, points", "from", "to"), 2)
COLUMNS = (
    *("run", "accuracy, %", "deviation", "difference, points", "from", "to"),
    *("seconds", "time saved, %", "read from the cache, %"),
)


def experiments(base):
    """FreezeOut without views and with several, and what freezes nothing, by their labels."""
    settings = {
        "annealed without views": {"method": "annealed"},
        BASELINE: FREEZING,
        **{f"freezeout with {_named(views)}": {**FREEZING, "views": views} for views in VIEWS},
    }
    base = dataclasses.replace(base, augment=True)
    return {label: dataclasses.replace(base, **own) for label, own in settings.items()}


def facts(named, costs):
    """Nothing is to be known beforehand."""
    return {label: {} for label in named}


def table(histories, facts):
    """One row per run: accuracy, time, and how both differ from FreezeOut's without views.

    Accuracies are in percent, differences in points, paired over seeds. What was read from the
    cache is a share of what steps asked of it.
    """
    grouped = by_method(histories)
    usual = grouped[BASELINE]
    rows = []
    for label, runs in grouped.items():
        accuracies, others = (
            100 * np.array([run.accuracy for run in some]) for some in (runs, usual)
        )
        difference = accuracies - others
        interval = paired_interval(difference)[1:]
        seconds, whole = (np.mean([sum(run.seconds) for run in some]) for some in (runs, usual))
        row = label, accuracies.mean(), deviation(accuracies), difference.mean(), *interval, seconds
        rows.append((*row, 100 * (1 - seconds / whole), 100 * np.mean([*map(share_read, runs)])))
    return pd.DataFrame(rows, columns=COLUMNS)


def statements(table, seeds):
    """What each number of views costs and saves."""
    said = ["With one seed, differences may be chance."] if seeds == 1 else []
    for row in table[table["run"] != BASELINE].to_dict("records"):
        saved, difference = row["time saved, %"], row["difference, points"]
        text = f"{row['run']}: {less_time(saved)} than {BASELINE}, {difference:+.2f} points"
        if seeds > 1:
            text += f" ({chance(row['from'], row['to'], seeds)})"
        said.append(f"{text}.")
    return said


def figure(table):
    """The trade-off: difference in accuracy against time saved."""
    made, axis = new_figure()
    axis.axhline(0, color=INK[0], linewidth=0.8)
    looks = looks_of(table["run"].tolist())
    for row in table.to_dict("records"):
        place = row["time saved, %"], row["difference, points"]
        reach = np.abs(np.array([[row["from"]], [row["to"]]]) - place[1])
        look = looks[row["run"]]
        line = {"color": look.colour, "capsize": 3, "label": row["run"], **look.mark}
        axis.errorbar(*place, yerr=np.nan_to_num(reach), linestyle="", **line)
        number = row["run"].removeprefix("freezeout with ").split()[0]
        if number.isdigit():
            axis.annotate(number, place, (5, 5), textcoords="offset points")
    legend(made, *axis.get_legend_handles_labels())
    axis.set_xlabel(f"Time saved over {BASELINE}, %")
    axis.set_ylabel("Accuracy over it, points")
    return made


def _named(views):
    return f"{views} view{'s' * (views > 1)}"
