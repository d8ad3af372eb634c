"""What the form of SGD's momentum does to annealed training: with the rate inside or outside of it.

Keras keeps the rate inside the velocity, the program of FreezeOut and TensorFlow 1 outside
(`batch.training.optimizers.FusedSGD`). For a constant rate, this is the same. Here both train
FreezeOut, linear and cubic, and its matched baseline.
"""

import dataclasses

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.verdicts.statistics import AGREED, deviation, paired_interval
from utils.palette import INK
from utils.style import new_rows

BASELINE = "annealed"
SPACINGS = ("linear", "cubic")
FORMS = ("outside", "inside")
TITLE = "The rate outside of the velocity, or inside"
CAPTION = (
    "What the form with the rate outside has over the one with the rate inside, in points of "
    "accuracy, with its 95 % interval where there are seeds enough."
)
COLUMNS = (
    *("schedule", "accuracy outside, %", "its deviation", "accuracy inside, %", "deviation"),
    *("difference, points", "interval from", "to", "mean loss, outside", "inside"),
)
DECIMALS = {**dict.fromkeys(COLUMNS[1:8], 2), **dict.fromkeys(COLUMNS[8:], 3)}


def experiments(base):
    """The baseline and FreezeOut's schedules, in both forms, by their labels."""
    schedules = {BASELINE: {"method": BASELINE}}
    for how_scale in SPACINGS:
        schedules[f"freezeout {how_scale}"] = {"method": "freezeout", "how_scale": how_scale}
    return {
        _label(schedule, form): dataclasses.replace(
            base, **settings, momentum=None, optimizer=_optimizer(base, settings["method"], form)
        )
        for schedule, settings in schedules.items()
        for form in FORMS
    }


def facts(named, costs):
    """Nothing is to be known beforehand."""
    return {label: {} for label in named}


def table(histories, facts):
    """One row per schedule: accuracy and mean loss in both forms, and what they differ by.

    Accuracies are in percent, differences in points, outside less inside, paired over seeds. The
    loss is the mean over all iterations.
    """
    runs = by_method(histories)
    rows = []
    for label in runs:
        schedule, _, form = label.rpartition(", rate ")
        if form != FORMS[0]:
            continue
        pair = [runs[_label(schedule, form)] for form in FORMS]
        outside, inside = (100 * np.array([run.accuracy for run in some]) for some in pair)
        difference = outside - inside
        losses = (np.mean([np.mean(run.loss) for run in some]) for some in pair)
        values = (outside.mean(), deviation(outside), inside.mean(), deviation(inside))
        interval = paired_interval(difference)[1:]
        rows.append((schedule, *values, difference.mean(), *interval, *losses))
    return pd.DataFrame(rows, columns=COLUMNS)


def statements(table, seeds):
    """Which schedules the form makes a difference to."""
    if seeds == 1:
        return ["With one seed, differences may be chance."]
    said = []
    for row in table.to_dict("records"):
        low, high = row["interval from"], row["to"]
        if low <= 0 <= high:
            verdict = "any difference may be chance"
        elif np.isnan(low):
            verdict = AGREED
        else:
            verdict = f"the rate {'outside' if low > 0 else 'inside'} is better"
        said.append(f"{row['schedule']}: {verdict} ({row['difference, points']:+.2f} points).")
    return said


def figure(table):
    """The difference of the forms for each schedule."""
    made, axis = new_rows(table["schedule"])
    axis.axvline(0, color=INK[0], linewidth=0.8)
    difference = table["difference, points"].to_numpy()
    reach = np.abs(table[["interval from", "to"]].to_numpy().T - difference)
    places = range(len(table))
    axis.errorbar(difference, places, xerr=np.nan_to_num(reach), fmt="o", color=INK[0], capsize=4)
    axis.set_xlabel("Accuracy with the rate outside over inside, points")
    return made


def _label(schedule, form):
    return f"{schedule}, rate {form}"


def _optimizer(base, method, form):
    """The method's own optimizer, in one of the forms."""
    momentum = dataclasses.replace(base, method=method).with_rates().momentum
    return "SGD", {"momentum": momentum, "nesterov": True, "rate_outside": form == "outside"}
