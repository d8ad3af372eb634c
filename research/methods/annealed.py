"""FreezeOut's matched baseline: the rate of its last block for every block, nothing frozen."""

from research.methods.annealing import curve, spacing
from research.methods.method import Method
from research.methods.options import END


def config(experiment, blocks):
    """The curve of FreezeOut's last block, which its spacing has no influence on."""
    return {"schedule": ("Annealed", {**curve(experiment), **spacing(experiment)})}


ANNEALED = Method(
    "annealed",
    config,
    baseline="classic",
    action="train_freez",
    options=END,
    paper="Loshchilov and Hutter, SGDR, 2017",
)
