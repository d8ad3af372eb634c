"""What BatchFlow's pipelines lack for our actions: lists that are filled in place."""

from batchflow import W
from batchflow.named_expr import NamedExpression


class AsGiven(W):
    """Gives an action the user's list itself, or the list that a named expression stands for.

    BatchFlow would give it a new copy for every batch, and what is appended to a copy is lost.
    """

    def get(self, **kwargs):
        """The object."""
        return self.name.get(**kwargs) if isinstance(self.name, NamedExpression) else self.name


def keep_lists(entries, actions):
    """Wrap the lists among the arguments of some actions, in the pipeline itself and only once.

    Parameters
    ----------
    entries : list of dict
        The actions of a pipeline as it keeps them.
    actions : collection of str
        Names of the actions to do this for.
    """
    for entry in entries:
        if "pipeline" in entry:
            keep_lists(entry["pipeline"]._actions, actions)  # noqa: SLF001
        elif entry["name"] in actions:
            entry["args"] = tuple(_as_given(value) for value in entry["args"])
            entry["kwargs"] = {
                key: value if key == "save_to" else _as_given(value)
                for key, value in entry["kwargs"].items()
            }


def _as_given(value):
    rebuilt = isinstance(value, (list, NamedExpression)) and not isinstance(value, W)
    return AsGiven(value) if rebuilt else value
