"""Names of methods, models and benchmarks: the command line reads them without TensorFlow."""

BASELINES = {
    "classic": None,
    "annealed": "classic",
    "freezeout": "annealed",
    "stochastic": "classic",
}
METHODS = tuple(BASELINES)
MODELS = (
    *("resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("wideresnet", "densenet", "vgg"),
)
SUITES = ("step", "freezeout", "stochastic")
