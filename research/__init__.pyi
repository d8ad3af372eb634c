from .comparison import compare
from .experiment import Experiment

__all__ = ["Experiment", "compare"]
