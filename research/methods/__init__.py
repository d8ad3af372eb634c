"""The methods that are compared: one file each, where everything stands that is said of it.

A new one is a file here and a line in the registry; one of a user's own is a `Method` in any file
of theirs, which `--methods` takes (`research.methods.loading`).
"""

from batch.checks import received
from batch.spelling import did_you_mean
from research.methods.annealed import ANNEALED
from research.methods.autofreeze import AUTOFREEZE
from research.methods.classic import CLASSIC
from research.methods.freezeout import FREEZEOUT
from research.methods.layerfreezing import LAYERFREEZING
from research.methods.method import Method
from research.methods.shorter import SHORTER
from research.methods.stochastic import STOCHASTIC

USUAL = (CLASSIC, ANNEALED, FREEZEOUT, STOCHASTIC, SHORTER)  # compared if nothing else is asked for
METHODS = {method.name: method for method in (*USUAL, LAYERFREEZING, AUTOFREEZE)}


def find(method):
    """A method by its name; a `Method` is its own answer.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if isinstance(method, Method):
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(
            f"method must be a Method, or one of {', '.join(METHODS)}. {received(method)}"
            f"{did_you_mean(method, METHODS)}"
        )
    return METHODS[method]


def users(option):
    """Names of the methods that read an option."""
    return [method.name for method in METHODS.values() if option in method.options]
