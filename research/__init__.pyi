from .experiments.experiment import Experiment
from .methods.method import Method
from .running.comparison import compare

__all__ = ["Experiment", "Method", "compare"]
