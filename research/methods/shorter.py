"""Annealed, for as many iterations as take the time that FreezeOut should take by its FLOPs.

Freezing saves time, and so does training for fewer iterations: what FreezeOut buys is what it has
over this.
"""

import dataclasses

from research.methods.annealing import curve, spacing
from research.methods.freezeout import FREEZEOUT
from research.methods.method import Method
from research.methods.options import END, SPACING


def config(experiment, blocks):
    """The curve of annealed, down to zero at the end of this shorter run."""
    whole = dataclasses.replace(experiment, freeze_iterations=None)
    return {"schedule": ("Annealed", {**curve(whole), **spacing(whole)})}


def iterations(experiment, costs):
    """The iterations of a run times the share of its time that FreezeOut takes, uncached."""
    from batch.flops import predicted_ratio, step_cost
    from batch.schedules import make_schedule

    blocks = len(costs) - 1
    schedule = make_schedule(FREEZEOUT.config(experiment, blocks)["schedule"], blocks)
    learns = experiment.learning(blocks)
    whole = step_cost(costs, learns) / step_cost(costs, (True,) * len(costs))
    ratio = predicted_ratio(costs, schedule, experiment.iterations, learns) / whole
    return max(1, round(experiment.iterations * ratio))


SHORTER = Method(
    "shorter",
    config,
    baseline="annealed",
    action="train_freez",
    options={**END, **SPACING},
    iterations=iterations,
)
