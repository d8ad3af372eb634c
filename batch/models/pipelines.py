"""What BatchFlow's pipelines lack for our actions: lists that stay, and `name=`."""

import functools

from batchflow import Pipeline, W
from batchflow.named_expr import NamedExpression


class AsGiven(W):
    """Delivers a list, or the list that a named expression stands for, itself.

    BatchFlow would deliver a copy, rebuilt for every batch, and what is appended to that is lost.
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
            entry["args"] = tuple(_kept(value) for value in entry["args"])
            entry["kwargs"] = {
                key: value if key == "save_to" else _kept(value)
                for key, value in entry["kwargs"].items()
            }


def accept_name():
    """Let actions have an argument called `name`, as in `.train_res(loss, name='wide')`.

    BatchFlow passes the arguments of an action through a function whose own parameter is called
    `name`, so that this would be a TypeError. Calls that worked before work as before.
    """
    add_action = Pipeline._add_action  # noqa: SLF001
    if getattr(add_action, "accepts_name", False):
        return

    @functools.wraps(add_action)
    def add(self, action, /, *args, **kwargs):
        named = {"name": kwargs.pop("name")} if "name" in kwargs else {}
        pipeline = add_action(self, action, *args, **kwargs)
        pipeline._actions[-1]["kwargs"].update(named)  # noqa: SLF001
        return pipeline

    add.accepts_name = True
    Pipeline._add_action = add  # noqa: SLF001


def _kept(value):
    rebuilt = isinstance(value, (list, NamedExpression)) and not isinstance(value, W)
    return AsGiven(value) if rebuilt else value
