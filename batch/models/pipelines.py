"""What BatchFlow lacks for our actions: lists that are filled in place, and rows of arrays."""

import numpy as np
from batchflow import W
from batchflow.named_expr import NamedExpression

from batch import checks
from batch.data.rows import are_ids, row_numbers
from batch.nested import MOST_OF_CONFIG, leaves


class AsGiven(W):
    """Gives an action the user's list itself, or the list that a named expression stands for.

    BatchFlow would give it a new copy for every batch, and what is appended to a copy is lost.
    Tuples and dicts that are too large to be copied at all are left for the action to refuse.
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
    large = isinstance(value, (tuple, dict)) and leaves(value) > MOST_OF_CONFIG
    return AsGiven(value) if rebuilt or large else value


def batch_rows(batch, count, arrays="images"):
    """The rows of arrays that a batch is about: its index, if that of its dataset holds such rows.

    Parameters
    ----------
    batch : batchflow.Batch
    count : int
        How many rows the arrays have.
    arrays : str
        What they are, for messages.

    Returns
    -------
    ndarray, shape (n,), int64

    Raises
    ------
    ValueError
        If the index is of something else, or the batch does not come from a dataset.
    """
    received = _no_rows(batch._dataset, count)  # noqa: SLF001
    if received:
        raise ValueError(
            "An action reads arrays by the index of the dataset, which must be of rows of the "
            f"{count} {arrays}, 0 … {count - 1}. Received: {received}. Give arrays with a row for "
            "each number of the index; or make the batches from a Dataset(len(images), ResBatch); "
            "or give no arrays: an action then takes the components of the batch."
        )
    return row_numbers(batch.indices, count)


def batch_ids(batch, count):
    """Ids of the `count` examples that are in a batch; None if its index does not identify them."""
    index = np.asarray(batch.indices)
    # Another action may have made more images than there are indices.
    known = batch._dataset is not None and len(index) == count  # noqa: SLF001
    return index if known and are_ids(index) else None


def _no_rows(dataset, count):
    """What an index of a dataset is if not of rows of arrays; None if it is."""
    if dataset is None:
        return "a batch with an index of its own and no dataset, as after rebatch or merge"
    index, kind = np.asarray(dataset.indices), type(dataset.index).__name__
    if index.dtype.kind not in "iu":
        return f"a {kind} of {index.dtype}, {index[:2].tolist()} …"
    if index.min() < 0 or index.max() >= count:
        return f"a {kind} of {index.min()} … {index.max()}"
    index = index.astype(np.int64)
    if index.max() + 1 < len(index) == count and not index[np.diff(index, prepend=-1) != 1].any():
        return f"a {kind} that counts from 0 several times, as where indices were joined"
    return None


def check_delivery(name, where, values, save_to):
    """Refuse a name of a model, or a place for results, that is none."""
    checks.text("name", name)
    if values is not None and not hasattr(values, "append"):
        raise TypeError(f"{where} must be a list, to be appended to. {checks.received(values)}")
    if save_to is not None and not hasattr(save_to, "set"):
        raise TypeError(
            f"save_to must be a named expression, as V('loss'). {checks.received(save_to)}"
        )
