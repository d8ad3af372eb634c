"""One run's record: a row an iteration."""

import dataclasses

import numpy as np
import pandas as pd

COLUMNS = ["method", "seed", "iteration", "loss", "seconds", "frozen"]


@dataclasses.dataclass
class History:
    """What a run recorded, and what came out.

    Attributes
    ----------
    method : str
    seed : int
    loss : list of float
        Training loss of each iteration, before its update.
    seconds : list of float
        Time that each iteration took, in seconds, compilation included.
    frozen : list of int
        Leading frozen blocks in each iteration.
    accuracy : float or None
        Share of the test (or held-out) images whose class is right after the last iteration.
    cache : dict or None
        What keeping the work of frozen blocks came to, as `PrefixCache.told` gives it.
    """

    method: str = ""
    seed: int = 0
    loss: list = dataclasses.field(default_factory=list)
    seconds: list = dataclasses.field(default_factory=list)
    frozen: list = dataclasses.field(default_factory=list)
    accuracy: float | None = None
    cache: dict | None = None

    def append(self, loss, seconds, frozen):
        """Record an iteration."""
        self.loss.append(float(loss))
        self.seconds.append(float(seconds))
        self.frozen.append(int(frozen))

    def __len__(self):
        return len(self.loss)

    def to_frame(self):
        """The rows as a DataFrame with the columns of `results.csv`."""
        rows = zip(range(len(self)), self.loss, self.seconds, self.frozen)
        return pd.DataFrame([(self.method, self.seed, *row) for row in rows], columns=COLUMNS)


def by_method(histories):
    """The histories of each method, as lists in a dict, in the order in which they come."""
    methods = {}
    for history in histories:
        methods.setdefault(history.method, []).append(history)
    return methods


def compiling_seconds(history):
    """Seconds that compiling steps took in a run, told from the rows of its history.

    A step is compiled in the first iteration, or where the number of frozen blocks changes. If that
    iteration took much longer than the median of the others in its stage (of its neighbours,
    where the stage is too short to tell), what it took beyond that was compilation. So it was in
    another that took more than twice the median: there, a run of a comparison ended its turn, and
    waited until the next stage's step was compiled.

    Parameters
    ----------
    history : History

    Returns
    -------
    float
    """
    seconds, frozen = np.asarray(history.seconds), np.asarray(history.frozen)
    starts = np.flatnonzero(np.diff(frozen, prepend=-1))
    usual = np.delete(seconds, starts)
    total = 0.0
    for start, stop in zip(starts, [*starts[1:], len(seconds)]):
        others = seconds[start + 1 : stop]
        if len(others) < 3:
            place = start - np.searchsorted(starts, start)
            others = usual[max(place - 3, 0) : place + 3]
        if len(others):
            beyond = seconds[start:stop] - np.median(others)
            first = beyond[0] * (beyond[0] > 0.2 * seconds[start])  # less is noise
            total += first + beyond[1:][beyond[1:] > np.median(others)].sum()
    return float(total)


def write_histories(histories, path):
    """Write histories to one CSV, from which `read_histories` makes them again, bit for bit."""
    pd.concat([history.to_frame() for history in histories]).to_csv(path, index=False)


def read_histories(path):
    """The histories in a `results.csv`, in the order in which they stand there.

    Raises
    ------
    ValueError
        If the file lacks a column, or holds no rows.
    """
    frame = pd.read_csv(path, converters={"loss": float, "seconds": float})  # to the last bit
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing or frame.empty:
        raise ValueError(
            f"{path} must have rows of {', '.join(COLUMNS)}. "
            + (f"Missing: {', '.join(missing)}" if missing else "It has none.")
        )
    return [
        History(method, int(seed), *(rows[name].tolist() for name in ("loss", "seconds", "frozen")))
        for (method, seed), rows in frame.groupby(["method", "seed"], sort=False)
    ]
