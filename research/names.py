"""Names of methods and benchmarks, where the command line can read them without TensorFlow."""

BASELINES = {"classic": None, "annealed": "classic", "freezeout": "annealed"}
METHODS = tuple(BASELINES)
SUITES = ("step", "freezeout")
