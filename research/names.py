"""Names of methods, models and benchmarks: the command line reads them without TensorFlow."""

import re

BASELINES = {
    "classic": None,
    "annealed": "classic",
    "freezeout": "annealed",
    "stochastic": "classic",
    "layerfreezing": "annealed",
    "autofreeze": "annealed",
}
METHODS = tuple(BASELINES)
CONSTANT = {"classic", "stochastic"}  # methods with a constant rate
ANNEALED = set(METHODS) - CONSTANT
USERS = {  # methods that have a use for a setting, where not all have
    "milestones": CONSTANT,
    "gamma": CONSTANT,
    "finetune_rate": ANNEALED,
    "freeze_iterations": ANNEALED,
    "t_0": {"freezeout"},
    "how_scale": {"freezeout"},
    "scale_lr": {"freezeout"},
    "freeze_every": {"layerfreezing", "autofreeze"},
    "survival": {"stochastic"},
}
USUAL = METHODS[:4]  # compared where nothing else was asked for
HOW_SCALE = ("linear", "squared", "cubic")
MODELS = (
    *("resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("wideresnet", "densenet", "vgg"),
)
BLOCKS = ("B(3,3)", "B(3,1)", "B(1,3)", "B(1,3,1)", "B(3,1,1)", "B(3,1,3)")  # of wideresnet
PARTIAL = ".partial"  # ends the name of what is not whole yet
CACHES = ("auto", "memory", "mapped", "compressed", "off")  # of what frozen blocks compute
METRICS = ("cross_entropy", "accuracy")  # of an evaluation; and top5, or another number
SUITES = (
    *("step", "precision", "cache", "freezeout", "freezing", "stochastic", "networks", "wide"),
    *("growth", "saving"),
)


def top_k(metric):
    """The number in a metric like 'top5'; None if it is none."""
    found = re.fullmatch(r"top([1-9]\d*)", metric)
    return found and int(found[1])


def kind(label):
    """The method that the label of a run begins with, as in 'freezeout cubic, scaled, t_0 0.8'."""
    return label.split(" ")[0]
