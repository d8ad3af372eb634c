"""FreezeOut: every block anneals on its own cosine, early blocks first, and is then frozen."""

from research.methods.annealing import curve, spacing
from research.methods.method import Method
from research.methods.options import CACHE, END, SPACING

PRESETS = {  # spacings by name, results of searches (`research.studies.saving`)
    "thrifty": {"t_0": 0.7, "how_scale": "cubic", "scale_lr": False},
}


def config(experiment, blocks):
    """The schedule."""
    return {"schedule": ("FreezeOut", {**curve(experiment), **spacing(experiment)})}


def published_estimate(experiment):
    """The saving that FreezeOut's authors estimate for a DenseNet-BC; None for other networks."""
    from batch.models.named import MODELS
    from batch.schedules.freezeout import calc_speedup

    options = {**MODELS[experiment.model].DEFAULTS, **experiment.model_options}
    if experiment.model != "densenet" or not options["bottleneck"] or options["compression"] != 0.5:
        return None
    network = options["growth_rate"], options["depth"]
    return calc_speedup(*network, experiment.t_0, experiment.how_scale)


def estimate(experiment):
    """The same in words."""
    saving = published_estimate(experiment)
    return "none, it is for DenseNet-BC" if saving is None else f"{100 * saving:.1f} %"


def file_name(experiment):
    """100·t_0, spacing, and whether rates are scaled, as in the program of the paper."""
    return f"ice{100 * experiment.t_0:.0f}_{experiment.how_scale}{experiment.scale_lr}"


FREEZEOUT = Method(
    "freezeout",
    config,
    baseline="annealed",
    action="train_freez",
    options={**END, **SPACING, **CACHE},
    paper="Brock et al., FreezeOut, 2017",
    estimate=estimate,
    file_name=file_name,
)
