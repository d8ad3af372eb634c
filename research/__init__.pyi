from .comparison import compare
from .experiment import Experiment
from .methods.method import Method

__all__ = ["Experiment", "Method", "compare"]
