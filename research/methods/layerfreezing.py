"""Leading blocks frozen at a steady pace, on annealed's curve, as in Composer's layer freezing."""

from research.methods.annealing import curve
from research.methods.method import Method
from research.methods.options import CACHE, DECISIONS, END


def config(experiment, blocks):
    """The schedule."""
    return {"schedule": ("LayerFreezing", {**curve(experiment), "every": experiment.freeze_every})}


LAYERFREEZING = Method(
    "layerfreezing",
    config,
    baseline="annealed",
    action="train_freez",
    options={**END, **DECISIONS, **CACHE},
    paper="Raghu et al., SVCCA, 2017 (freeze training)",
)
