"""The claims of FreezeOut, tested: every schedule of the paper against the matched baseline.

Brock et al., FreezeOut, 2017: up to 20 % of the time saved within 3 % relative error for DenseNet;
about 10 % saved at no cost with scaled cubic and unscaled linear schedules. `resbatch compare
--study freezeout` tests them at a size for two cores, `--study freezeout-full` at the paper's
(`research.experiments.recipes.STUDIES`).
"""

import dataclasses
import itertools

import numpy as np
import pandas as pd

from batch.data.history import by_method, compiling_seconds
from research.experiments.prediction import predicted_ratio
from research.methods.freezeout import published_estimate
from research.methods.options import HOW_SCALE
from research.verdicts.statistics import deviation
from utils.beside import label_points
from utils.palette import INK, Look
from utils.style import legend, new_figure

BASELINE = "annealed"
STARTS = (0.5, 0.8)  # t_0
TITLE = "The claims"
CAPTION = (
    "Error of each schedule relative to the matched baseline's, against the time it saves: down is "
    "better, right is faster. Numbers are t_0; hollow marks were predicted, filled ones measured."
)
DECIMALS = {}
ENVELOPE = 3  # percent of relative error that the paper claims to stay within
COLUMNS = (
    *("schedule", "predicted saving, %", "published estimate, %", "measured saving, %"),
    *("compiling, s", "error, %", "its deviation", "relative error, %"),
)


def experiments(base):
    """The matched baseline and the paper's twelve schedules, by their labels."""
    named = {BASELINE: dataclasses.replace(base, method=BASELINE)}
    for how_scale, scaled, t_0 in itertools.product(HOW_SCALE, (True, False), STARTS):
        label = f"freezeout {how_scale}, {'scaled' if scaled else 'unscaled'}, t_0 {t_0}"
        named[label] = dataclasses.replace(
            base, method="freezeout", how_scale=how_scale, scale_lr=scaled, t_0=t_0
        )
    return named


def facts(named, costs):
    """Saving of each run: predicted by its FLOPs, and estimated by FreezeOut's authors."""
    return {
        label: {
            "predicted": 1 - predicted_ratio(experiment, costs[label]),
            "published": None if label == BASELINE else published_estimate(experiment),
        }
        for label, experiment in named.items()
    }


def table(histories, facts):
    """One row per schedule: saving predicted, estimated and measured, error, and what it costs.

    Savings and errors are in percent. The measured saving is of the mean seconds of iterations,
    compilation set apart. The relative error is (error − baseline's)/baseline's. The deviation of
    the error is in points, over seeds.
    """
    runs = by_method(histories)
    usual, error = _seconds(runs[BASELINE]), _error(runs[BASELINE])
    rows = []
    for label, own in runs.items():
        frozen = f"{BASELINE} (nothing frozen)" if label == BASELINE else label.split(" ", 1)[1]
        published = facts[label]["published"]
        rows.append(
            (
                frozen,
                100 * facts[label]["predicted"],
                np.nan if published is None else 100 * published,
                100 * (1 - _seconds(own) / usual),
                _compiling(own),
                _error(own),
                _deviation(own),
                100 * (_error(own) / error - 1) if error else np.nan,
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def statements(table, seeds):
    """What the rows say about each claim, as a list of texts."""
    rows = table.iloc[1:]
    measured, predicted = rows["measured saving, %"], rows["predicted saving, %"]
    within = rows[rows["relative error, %"] <= ENVELOPE]
    best = within.loc[within["measured saving, %"].idxmax()] if len(within) else None
    apart = (measured - predicted).abs()
    chance = "With one seed, what errors differ by may be chance. " if seeds == 1 else ""
    return [
        f"Measured and predicted saving differ by {apart.mean():.1f} points on average, "
        f"{apart.max():.1f} at most.",
        f"{chance}{len(within)} of {len(rows)} schedules stay within {ENVELOPE} % relative error "
        "of the matched baseline"
        + (
            f"; of these, {best['schedule']} saves most, {best['measured saving, %']:.1f} %."
            if best is not None
            else "."
        ),
    ]


def figure(table):
    """Relative error against time saved: measured as dots, predicted as rings, joined by lines."""
    made, axis = new_figure()
    axis.axhline(0, color=INK[0], linewidth=0.8)
    axis.axhline(ENVELOPE, color="grey", linestyle=":", label=f"{ENVELOPE} % relative error")
    for number, (how_scale, scaled) in enumerate(itertools.product(HOW_SCALE, (True, False))):
        name = f"{how_scale}, {'scaled' if scaled else 'unscaled'}"
        rows = table[table["schedule"].str.startswith(f"{name},")]
        for place, row in enumerate(rows.to_dict("records")):
            saved, predicted = row["measured saving, %"], row["predicted saving, %"]
            height, look = row["relative error, %"], Look(number)
            axis.plot([predicted, saved], [height] * 2, color=look.colour, linewidth=1)
            axis.plot(predicted, height, linestyle="", **look.mark | {"markerfacecolor": "none"})
            label = "" if place else name
            axis.plot(saved, height, linestyle="", label=label, **look.mark)
    axis.set_xlabel("Time saved, % (hollow: predicted; filled: measured)")
    axis.set_ylabel("Error relative to the baseline, %")
    legend(made, *axis.get_legend_handles_labels())
    rows = table.iloc[1:].dropna(subset="relative error, %")
    places = rows[["measured saving, %", "relative error, %"]].to_numpy()
    label_points(axis, places, rows["schedule"].str.split().str[-1])
    return made


def _seconds(histories):
    """Mean seconds of a run, compilation set apart."""
    return np.mean([sum(run.seconds) - compiling_seconds(run) for run in histories])


def _compiling(histories):
    return np.mean([compiling_seconds(run) for run in histories])


def _error(histories):
    return 100 * (1 - np.mean([run.accuracy for run in histories]))


def _deviation(histories):
    """Standard deviation of the error over seeds, in points; NaN for one."""
    return deviation([100 * (1 - run.accuracy) for run in histories])
