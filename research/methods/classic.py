"""Classic training: SGD with Nesterov's momentum, at a constant rate or one that falls in steps."""

from research.methods.constant import steps
from research.methods.method import Method
from research.methods.options import STEPS


def config(experiment, blocks):
    """The steps, if there are milestones."""
    return steps(experiment)


CLASSIC = Method("classic", config, options=STEPS, paper="He et al., 2016")
