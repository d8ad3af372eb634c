"""Leading blocks frozen once their gradients hardly change any more, on annealed's curve."""

from research.methods.annealing import curve
from research.methods.method import Method
from research.methods.options import CACHE, DECISIONS, END


def config(experiment, blocks):
    """The schedule, which watches the gradients."""
    return {"schedule": ("AutoFreeze", {**curve(experiment), "every": experiment.freeze_every})}


AUTOFREEZE = Method(
    "autofreeze",
    config,
    baseline="annealed",
    action="train_freez",
    options={**END, **DECISIONS, **CACHE},
    paper="Liu et al., AutoFreeze, 2021",
    adapts=True,
)
