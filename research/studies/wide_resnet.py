"""What width and the type of the blocks buy a Wide ResNet, and what they cost.

Zagoruyko and Komodakis, Wide Residual Networks, 2016: widths in section 3, types of blocks in table
2, each the median of five runs. `resbatch compare --study wide-resnet` runs both at a size for two
cores, `--study wide-resnet-full` at the paper's (`research.experiments.recipes.STUDIES`).
"""

import dataclasses

import numpy as np
import pandas as pd

from batch import flops
from research.verdicts.statistics import deviation
from utils.palette import Look
from utils.style import legend, logarithmic, new_figure

METHOD = "classic"
WIDTHS = (1, 2, 3, 4)
TYPES = {  # the paper's table 2, k = 2: blocks in a group, and test error on CIFAR-10 in percent
    "B(1,3,1)": (6, 6.06),
    "B(3,1)": (6, 5.78),
    "B(1,3)": (6, 6.42),
    "B(3,1,1)": (6, 5.86),
    "B(3,3)": (4, 5.73),
    "B(3,1,3)": (3, 5.78),
}
BASIC = "B(3,3)"
TYPES_WIDTH = 2
COLUMNS = (
    *("network", "parameters, M", "MFLOPs a step", "seconds a step", "accuracy, %"),
    *("its deviation", "median error, %", "lowest", "highest", "in the paper, %"),
)
DECIMALS = {
    "parameters, M": 2,
    "seconds a step": 3,
    "accuracy, %": 2,
    "its deviation": 2,
    "in the paper, %": 2,
}
TITLE = "What width and blocks cost, and what they buy"
CAPTION = (
    "Median error over the seeds, from the lowest to the highest: down is better, left is cheaper. "
    "The line joins widths 1 to 4; the other points are types of blocks, k = 2."
)


def experiments(base):
    """Widths 1 to 4 at the base's depth, and every type of block at k = 2, by their labels.

    The types have depths in the paper's proportion, so that they have about as many parameters.
    """
    depth = base.model_options["depth"]
    networks = [(depth, width, BASIC) for width in WIDTHS]
    networks += [(_depth(block, depth), TYPES_WIDTH, block) for block in TYPES if block != BASIC]
    return {
        _label(*network): dataclasses.replace(
            base,
            method=METHOD,
            model_options={
                **base.model_options,
                **dict(zip(("depth", "widen_factor", "block"), network)),
            },
        )
        for network in networks
    }


def facts(named, costs):
    """What each network is, its parameters, and the FLOPs of its training step for an image."""
    return {
        label: {
            "parameters": sum(cost.parameters for cost in costs[label]),
            "flops": 2 * flops.step_cost(costs[label], (True,) * len(costs[label])),
            "width": experiment.model_options["widen_factor"],
            "block": experiment.model_options["block"],
        }
        for label, experiment in named.items()
    }


def table(histories, facts):
    """One row per network: what it costs, and its accuracy and error.

    FLOPs are those of a training step for one image, in millions; seconds a step the median of
    all iterations; accuracy the mean over seeds, with its deviation in points; the paper's
    error that of the same type of block, k = 2, after 200 epochs, the median of five runs.
    """
    rows = []
    for label, known in facts.items():
        runs = [history for history in histories if history.method == label]
        accuracies = 100 * np.array([run.accuracy for run in runs])
        errors = 100 - accuracies
        in_paper = TYPES[known["block"]][1] if known["width"] == TYPES_WIDTH else np.nan
        rows.append(
            (
                label.removeprefix(f"{METHOD} "),
                known["parameters"] / 1e6,
                known["flops"] / 1e6,
                np.median([seconds for run in runs for seconds in run.seconds]),
                accuracies.mean(),
                deviation(accuracies),
                *(np.median(errors), errors.min(), errors.max(), in_paper),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def statements(table, seeds):
    """What the rows say about width and about blocks, one text each."""
    widths, types = _widths(table), _types(table)
    thin, wide = widths.iloc[0], widths.iloc[-1]
    best = types.loc[types["median error, %"].idxmin()]
    basic = widths[widths["network"].str.endswith(f"-{TYPES_WIDTH}")].iloc[0]
    chance = "With one seed, what errors differ by may be chance. " if seeds == 1 else ""
    others = f"; {_described(basic)}, of {BASIC}" if best["network"] != basic["network"] else ""
    return [
        f"{chance}From {thin['network']} to {wide['network']}, the median error goes from "
        f"{thin['median error, %']:.1f} to {wide['median error, %']:.1f} %, for "
        f"{wide['seconds a step'] / thin['seconds a step']:.1f} times the time of a step, "
        f"{wide['MFLOPs a step'] / thin['MFLOPs a step']:.1f} times the FLOPs and "
        f"{wide['parameters, M'] / thin['parameters, M']:.1f} times the parameters. "
        f"{_spread('widths', widths)}",
        f"Of the types of blocks at k = {TYPES_WIDTH}, the lowest median error is that of "
        f"{_described(best)}{others}. {_spread('types', types)}",
    ]


def _described(row):
    return f"{row['network']}, {row['median error, %']:.1f} %"


def _spread(name, rows):
    """By how much rows differ, and by how much the seeds of a single row do."""
    error = rows["median error, %"]
    return (
        f"The {name} lie {error.max() - error.min():.1f} points apart, the seeds of one of them up "
        f"to {(rows['highest'] - rows['lowest']).max():.1f}."
    )


def figure(table):
    """Median error against parameters, and against the time of a step."""
    made, first = new_figure()
    first.remove()
    panels = made.subplots(1, 2, sharey=True)
    widths = _widths(table)
    others = table.drop(widths.index)
    for axis, column in zip(panels, ("parameters, M", "seconds a step")):
        _draw(axis, widths, column, Look(0), "widths of B(3,3)", linestyle="-")
        for row in widths.to_dict("records"):
            width = row["network"].split("-")[-1]
            place = row[column], row["median error, %"]
            axis.annotate(f"k = {width}", place, (6, 6), textcoords="offset points")
        for place in range(len(others)):
            row = others.iloc[[place]]
            _draw(axis, row, column, Look(place + 1), row["network"].iloc[0])
        logarithmic(axis, "x", table[column].min(), table[column].max())
        axis.margins(x=0.15)
        axis.set_xlabel(column.capitalize().replace(", m", ", millions"))
    panels[0].set_ylabel("Median error, %")
    legend(made, *panels[0].get_legend_handles_labels())
    return made


def _draw(axis, rows, column, look, label, linestyle=""):
    error = rows["median error, %"]
    spread = [error - rows["lowest"], rows["highest"] - error]
    line = {"color": look.colour, "linestyle": linestyle, "label": label, **look.mark}
    axis.errorbar(rows[column], error, spread, capsize=3, **line)


def _widths(table):
    return table[table["network"].str.startswith("WRN") & ~table["network"].str.contains(" ")]


def _types(table):
    return table[table["in the paper, %"].notna()]


def _depth(block, base_depth):
    """Depth at which a network of these blocks has about the parameters of one of B(3,3)."""
    blocks = TYPES[block][0] * (base_depth - 4) // 6 / TYPES[BASIC][0]
    return 6 * max(int(blocks + 0.5), 1) + 4


def _label(depth, width, block):
    name = f"{METHOD} WRN-{depth}-{width}"
    return name if block == BASIC else f"{name} {block}"
