"""The search for the schedule that saves most time within a bound of accuracy.

FreezeOut's schedules, unscaled, and AutoFreeze's, which adapts, with a cache of what frozen blocks
compute, against the matched baseline; and that baseline over fewer iterations, which saves time
too. The
best of FreezeOut's is the preset 'thrifty' (`research.methods.freezeout.PRESETS`); `resbatch bench
saving` measures it over more seeds.
"""

import dataclasses

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.experiments.prediction import predicted_ratio
from research.verdicts.statistics import AGREED, paired_interval
from utils.beside import label_points
from utils.palette import INK, Look
from utils.style import legend, new_figure

BASELINE = "annealed"
SCHEDULES = (("cubic", 0.35), ("cubic", 0.5), ("cubic", 0.7), ("squared", 0.5))
ADAPTIVE = "autofreeze"
SHORTER = (0.6, 0.8)  # shares of the iterations
ONLY = "fewer iterations"  # in the labels of shorter runs
BOUND = 0.1  # points of accuracy that may be lost
TITLE = "What can be saved"
CAPTION = (
    "Difference in accuracy to the matched baseline against the time saved, with its 95 % interval "
    "where there are seeds enough: up is better, right is faster. The number is t_0, or the "
    "share of the iterations."
)
DECIMALS = {"accuracy, %": 2, "difference, points": 2, "interval from": 2, "to": 2}
COLUMNS = (
    *("schedule", "predicted saving, %", "measured saving, %", "accuracy, %"),
    *("difference, points", "interval from", "to"),
)


def experiments(base):
    """The matched baseline, the schedules, and shorter runs of the baseline, by their labels."""
    named = {BASELINE: dataclasses.replace(base, method=BASELINE)}
    for how_scale, t_0 in SCHEDULES:
        named[f"freezeout {how_scale}, t_0 {t_0}"] = dataclasses.replace(
            base, method="freezeout", how_scale=how_scale, scale_lr=False, t_0=t_0
        )
    named[ADAPTIVE] = dataclasses.replace(base, method=ADAPTIVE)
    for share in SHORTER:
        length = round(share * base.iterations)
        named[f"{BASELINE} {ONLY}, {share}"] = dataclasses.replace(
            named[BASELINE], iterations=length, freeze_iterations=None
        )
    return named


def facts(named, costs):
    """Saving of each run by its FLOPs, without a cache; None if only the run can show it."""
    whole = named[BASELINE].iterations
    ratios = {label: predicted_ratio(run, costs[label], whole) for label, run in named.items()}
    return {
        label: {"predicted": None if ratio is None else 1 - ratio}
        for label, ratio in ratios.items()
    }


def table(histories, facts):
    """One row per schedule: saving predicted and measured, accuracy, difference to the baseline.

    Savings are in percent of the baseline's seconds, compilation included; differences in points,
    paired over seeds.
    """
    grouped = by_method(histories)
    usual = grouped[BASELINE]
    rows = []
    for label, runs in grouped.items():
        predicted = facts[label]["predicted"]
        accuracies, others = (
            100 * np.array([run.accuracy for run in some]) for some in (runs, usual)
        )
        rows.append(
            (
                f"{BASELINE} (nothing frozen)" if label == BASELINE else label.split(" ", 1)[-1],
                np.nan if predicted is None else 100 * predicted,
                100 * (1 - _seconds(runs) / _seconds(usual)),
                accuracies.mean(),
                (accuracies - others).mean(),
                *paired_interval(accuracies - others)[1:],
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def statements(table, seeds):
    """Which schedule saves most within the bound, and which shorter run."""
    rows = table.iloc[1:]
    shorter = rows["schedule"].str.startswith(ONLY)
    chance = ["With one seed, differences may be chance."] if seeds == 1 else []
    kinds = {"schedules": rows[~shorter], "shorter runs of it": rows[shorter]}
    said = [_most(name, own) for name, own in kinds.items() if len(own)]
    without = rows["schedule"][rows["interval from"].isna()] if seeds > 1 else []
    agreed = [f"No interval where {AGREED}: {'; '.join(without)}."] if len(without) else []
    return [*chance, *said, *agreed]


def _most(name, rows):
    """Which of some rows saves most within the bound."""
    within = rows[rows["difference, points"] >= -BOUND]
    share = f"{len(within)} of {len(rows)} {name} stay within {BOUND} points of the baseline"
    if within.empty:
        return f"{share}."
    best = within.loc[within["measured saving, %"].idxmax()]
    return (
        f"{share}; of these, {best['schedule']} saves most, {best['measured saving, %']:.1f} % of "
        f"the time, at {best['difference, points']:+.2f} points."
    )


def figure(table):
    """The trade-off: difference in accuracy against time saved."""
    made, axis = new_figure()
    axis.axhline(0, color=INK[0], linewidth=0.8)
    axis.axhline(-BOUND, color="grey", linestyle=":", label=f"{BOUND} points lost")
    rows = table.iloc[1:]
    kinds = rows["schedule"].str.split(",").str[0]
    for number, (how_scale, own) in enumerate(rows.groupby(kinds, sort=False)):
        own = own.sort_values("measured saving, %")
        name = f"{BASELINE}, fewer iterations" if how_scale == ONLY else how_scale
        saved, gained = own["measured saving, %"], own["difference, points"]
        reach = np.abs(own[["interval from", "to"]].to_numpy().T - gained.to_numpy())
        look = Look(number + 1)
        line = {"color": look.colour, "capsize": 3, "label": name, **look.mark}
        axis.errorbar(saved, gained, np.nan_to_num(reach), **line)
    axis.set_xlabel("Time saved, %")
    axis.set_ylabel("Accuracy over the baseline's, points")
    legend(made, *axis.get_legend_handles_labels())
    places = rows[["measured saving, %", "difference, points"]].to_numpy()
    label_points(axis, places, rows["schedule"].map(_value))
    return made


def _value(schedule):
    """Of a schedule's label, t_0 or the share of the iterations; AutoFreeze has none."""
    return "".join(schedule.partition(",")[2].split()[-1:])


def _seconds(runs):
    return np.mean([sum(run.seconds) for run in runs])
