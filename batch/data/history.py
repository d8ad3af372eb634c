"""The history of a run: a row for each iteration."""

import array
import csv
import dataclasses
import itertools
import math
import os

import numpy as np
import pandas as pd

from batch import checks
from batch.files import MEMORY, check_file, replacing
from batch.spelling import did_you_mean

COLUMNS = ["method", "seed", "iteration", "loss", "seconds", "frozen"]
ROWS = 250_000  # that are read at a time, so that a large file takes no memory twice
MOST_RATES = 200  # iterations of a run whose rates are kept


@dataclasses.dataclass
class History:
    """What a run recorded in each iteration, and its results.

    Attributes
    ----------
    method : str
    seed : int
    loss : list or array.array of float
        Training loss of each iteration, before its update. A list while the run goes on; in a
        history that was read from a file an array, which takes a quarter of the memory.
    seconds : list or array.array of float
        Time that each iteration took, in seconds, compilation included.
    frozen : list of int
        Leading frozen blocks in each iteration.
    accuracy : float or None
        Share of the test (or held-out) images whose class is right after the last iteration.
    cache : dict or None
        Statistics of the cache of frozen blocks, as from `PrefixCache.stats`.
    mistakes : dict or None
        What the network gets wrong after the last iteration, as from `research.running.mistakes`.
    target : dict or None
        When the run reached a target accuracy, as from `research.running.target`.
    rates : list or None
        Learning rates that were in force: iterations, each with the rates from it on, of all blocks
        and the classifier. None if they are not known.
    """

    method: str = ""
    seed: int = 0
    loss: list | array.array = dataclasses.field(default_factory=list)
    seconds: list | array.array = dataclasses.field(default_factory=list)
    frozen: list = dataclasses.field(default_factory=list)
    accuracy: float | None = None
    cache: dict | None = None
    mistakes: dict | None = None
    target: dict | None = None
    rates: list | None = None

    def __post_init__(self):
        checks.instance("method", self.method, str, "a text")
        checks.whole("seed", self.seed, most=2**63 - 1)
        sequences = {"loss": (list, array.array), "seconds": (list, array.array), "frozen": list}
        for name, kinds in sequences.items():
            values = checks.instance(name, getattr(self, name), kinds, "a list")
            if values:
                checks.finite(name, values)
        lengths = {name: len(getattr(self, name)) for name in sequences}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"loss, seconds and frozen must be of one length. Received: {lengths}")
        checks.optional(checks.probability, "accuracy", self.accuracy)
        for name in ("cache", "mistakes", "target"):
            if getattr(self, name) is not None:
                checks.instance(name, getattr(self, name), dict, "a dict")
        for row in checks.optional(_list_of_rates, "rates", self.rates) or ():
            _rates(row[1])

    def append(self, loss, seconds, frozen):
        """Record an iteration."""
        loss, seconds = _finite("loss", loss), checks.not_negative("seconds", seconds)
        frozen = checks.whole("frozen", frozen)
        self.loss.append(loss)
        self.seconds.append(seconds)
        self.frozen.append(frozen)

    def append_rates(self, rates):
        """Record the learning rates of the last iteration, where they are known so far.

        They are kept where they change. In a long run, changes are recorded at the next multiple of
        2, 4, 8 … iterations, so that there are at most `MOST_RATES`.

        Parameters
        ----------
        rates : array_like, shape (blocks + 1,)
        """
        rates, iteration = _rates(rates), len(self) - 1
        if self.rates is None:
            return
        every = 2 ** (iteration // MOST_RATES).bit_length()
        kept = {-(-start // every) * every: own for start, own in self.rates}
        if iteration % every == 0 and (not kept or [*kept.values()][-1] != rates):
            kept[iteration] = rates
        self.rates = [list(row) for row in kept.items()]

    def compact(self):
        """Keep its losses and seconds as arrays in place of lists."""
        self.loss, self.seconds = (array.array("d", column) for column in (self.loss, self.seconds))
        return self

    def as_dict(self):
        """All that `History` takes, with lists in place of arrays."""
        return {**vars(self), "loss": list(self.loss), "seconds": list(self.seconds)}

    def __eq__(self, other):
        return isinstance(other, History) and self.as_dict() == other.as_dict()

    def __len__(self):
        return len(self.loss)

    def to_frame(self):
        """The rows as a DataFrame with the columns of `results.csv`."""
        rows = zip(range(len(self)), self.loss, self.seconds, self.frozen)
        return pd.DataFrame([(self.method, self.seed, *row) for row in rows], columns=COLUMNS)


def by_method(histories):
    """A dict from each method to the list of its histories, in their order."""
    methods = {}
    for history in _checked(histories):
        methods.setdefault(history.method, []).append(history)
    return methods


def compiling_seconds(history):
    """Seconds that compiling steps took in a run, estimated from its history.

    A step is compiled in the first iteration, and where the number of frozen blocks changes. If
    that iteration took more than 1.25 times the median of the others in its stage, the time beyond
    the median was compilation. In a stage of fewer than four iterations, the median is that of
    neighbours in other stages. Any other iteration that took more than twice the median counts
    likewise: there, a run of a comparison ended its turn and waited for the next stage's step.

    Parameters
    ----------
    history : History

    Returns
    -------
    float
    """
    checks.instance("history", history, History, "a History")
    seconds, frozen = np.asarray(history.seconds), np.asarray(history.frozen)
    starts = np.flatnonzero(np.diff(frozen, prepend=-1))
    usual = np.delete(seconds, starts)
    total = 0.0
    for start, stop in zip(starts, [*starts[1:], len(seconds)]):
        others = seconds[start + 1 : stop]
        if len(others) < 3:
            row = start - np.searchsorted(starts, start)
            others = usual[max(row - 3, 0) : row + 3]
        if len(others):
            beyond = seconds[start:stop] - np.median(others)
            first = beyond[0] * (beyond[0] > 0.2 * seconds[start])  # less is noise
            total += first + beyond[1:][beyond[1:] > np.median(others)].sum()
    return float(total)


def write_histories(histories, path):
    """Write histories to one CSV file; `read_histories` reads them back bit for bit."""
    path = checks.path("path", path)
    histories = _checked(histories)
    with replacing(path) as new, open(new, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator=os.linesep)
        rows.writerow(COLUMNS)
        for history in histories:
            same = itertools.repeat(history.method), itertools.repeat(history.seed)
            numbers = map(float, history.loss), map(float, history.seconds), history.frozen
            rows.writerows(zip(*same, itertools.count(), *numbers))


def read_histories(path):
    """The histories in a `results.csv`, in its order.

    Raises
    ------
    ValueError
        If the file lacks a column, or holds no rows.
    """
    path = checks.path("path", path)
    check_file(path, MEMORY)
    types = {"dtype": {"method": str}, "converters": {"loss": float, "seconds": float}}
    runs = {}
    with pd.read_csv(path, chunksize=ROWS, **types) as parts:  # to the last bit
        for part in parts:
            _check_rows(path, part)
            for run, rows in part.groupby(["method", "seed"], sort=False):
                columns = runs.setdefault(run, (*map(array.array, "dd"), []))
                for column, name in zip(columns, ("loss", "seconds", "frozen")):
                    column.extend(rows[name].tolist())
    return [History(method, int(seed), *columns) for (method, seed), columns in runs.items()]


def _check_rows(path, frame):
    """Refuse rows that lack a column, or whose seeds are no seeds."""
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"{path} must have rows of {', '.join(COLUMNS)}. "
            + (f"Missing: {', '.join(missing)}" if missing else "It has none.")
            + did_you_mean(missing, frame.columns.difference(COLUMNS))
        )
    if frame.seed.dtype.kind not in "iu":
        raise ValueError(f"{path} must have whole numbers as seeds. Received: {frame.seed.dtype}")


def _checked(histories):
    return checks.sequence_of("histories", histories, History, "histories")


def _list_of_rates(name, rows):
    """The rows, if they are a list of iterations, each with something."""
    fine = isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == 2 and isinstance(row[0], int) for row in rows
    )
    if not fine:
        raise TypeError(
            f"{name} must be a list of iterations, each with the rates from it on. "
            f"{checks.received(rows)}"
        )
    return rows


def _rates(rates):
    """Learning rates as a list, if they are finite and 0 or more."""
    values = checks.finite("rates", rates)
    if (values < 0).any():
        raise ValueError(f"rates must be 0 or more. {checks.received(rates)}")
    return values.tolist()


def _finite(name, value):
    number = checks.as_number(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number. {checks.received(value)}")
    return float(number)
