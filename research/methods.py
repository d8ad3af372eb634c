"""Names of the methods, where the command line can read them without starting TensorFlow."""

BASELINES = {"classic": None, "annealed": "classic", "freezeout": "annealed"}
METHODS = tuple(BASELINES)
