"""Stochastic depth: in every step, branches of residual blocks are dropped at random."""

from research.methods.constant import steps
from research.methods.method import Method
from research.methods.options import STEPS, SURVIVAL


def config(experiment, blocks):
    """How often the last block's branch survives, and the rate of classic."""
    return {"survival": experiment.survival, **steps(experiment)}


STOCHASTIC = Method(
    "stochastic",
    config,
    baseline="classic",
    action="train_stochastic",
    options={**STEPS, **SURVIVAL},
    paper="Huang et al., Deep Networks with Stochastic Depth, 2016",
)
