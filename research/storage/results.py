"""What a comparison or a run gave: written to its folder, and read back."""

import contextlib
import json
import pathlib

from batch.data.history import by_method, read_histories, write_histories
from batch.files import replacing, write_text
from batch.shown import first_line
from research.names import MARGIN
from research.storage import recorded
from research.storage.folders import RECORD, ResultsError
from research.verdicts.statistics import summarize


def check_file(path, overwrite=False):
    """Refuse to write a file where there is one already, or a folder.

    Raises
    ------
    ResultsError
    """
    if path.is_dir():
        raise ResultsError(f"{path} is a folder: choose a file")
    if path.exists() and not overwrite:
        raise ResultsError(f"{path} exists: choose another file, or --overwrite it")


@contextlib.contextmanager
def new_file(path):
    """A file to write that takes the place of `path` when all is done; its folder is made.

    Raises
    ------
    ResultsError
        If it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new:
            yield new
    except OSError as error:
        raise ResultsError(f"Can't write {path}: {error.strerror or error}") from error


def save(folder, histories, settings, environment, predicted_ratio, **more):
    """Write `results.csv`, `experiment.json` and, of a comparison, `summary.csv`.

    Parameters
    ----------
    folder : path
    histories : list of History
    settings : dict
        The options of the command: enough to run it again.
    environment : dict
        As from `research.environment.describe`.
    predicted_ratio : dict
        Time of each method over that of a classic run, as the costs of its blocks predict it.
    **more
        For the record: its `methods`, as from `verdicts.labels.describe`, and its `data`, as from
        `Data.summary`.
    """
    folder = pathlib.Path(folder)
    write_histories(histories, folder / "results.csv")
    names, first = ("method", "seed", "accuracy", "cache"), by_method(histories)
    runs = [
        {name: getattr(history, name) for name in names}
        | ({"target": history.target} if history.target else {})
        | _with_texts(history.mistakes)
        | _rate_texts(history, first[history.method][0])
        for history in histories
    ]
    write_record(folder, settings, environment, predicted_ratio=predicted_ratio, runs=runs, **more)
    if settings["command"] == "compare":
        margin = settings.get("margin", MARGIN)
        summary = summarize(histories, predicted_ratio, more.get("methods"), margin)
        with replacing(folder / "summary.csv") as new:
            summary.drop(columns="pairs").to_csv(new, index=False)


def write_record(folder, settings, environment, **more):
    """Write `experiment.json`, by which `new_folder` knows a folder of ours."""
    record = {"settings": settings, "environment": environment, **more}
    write_text(pathlib.Path(folder, RECORD), json.dumps(record, indent=2) + "\n")


def read(folder):
    """Histories and record of a folder that `save` wrote.

    Returns
    -------
    histories : list of History
    record : dict
        The contents of `experiment.json`.

    Raises
    ------
    ResultsError
        If something is missing or does not fit.
    """
    folder = pathlib.Path(folder)
    try:
        histories = read_histories(folder / "results.csv")
        record = recorded.checked(recorded.read_record(folder))
        runs = {(run["method"], run["seed"]): run for run in record["runs"]}
        for history in histories:
            run = runs[history.method, history.seed]
            history.accuracy, history.cache = run["accuracy"], run.get("cache")
            history.target = run.get("target")
            history.mistakes = _with_numbers(run.get("mistakes"))
            history.rates = _rate_numbers(run.get("rates"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise ResultsError(
            f"{folder} holds no results of resbatch compare or train: {missing}"
        ) from error
    return histories, record


@contextlib.contextmanager
def drawing(folders):
    """Within this context, whatever results fail with that were read but can't be drawn is said."""
    try:
        yield
    except (OSError, ResultsError):
        raise
    except Exception as error:
        raise ResultsError(
            f"{', '.join(map(str, folders))} can't be drawn, and may be damaged: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error


def _with_texts(mistakes):
    """The entry of mistakes in the record: each row of the matrix is a text, to be read by eye."""
    if mistakes is None:
        return {}
    rows = [" ".join(map(str, row)) for row in mistakes["confusion"]]
    return {"mistakes": {**mistakes, "confusion": rows}}


def _with_numbers(mistakes):
    """The mistakes of an entry in the record."""
    if mistakes is None:
        return None
    rows = [list(map(int, row.split())) for row in mistakes["confusion"]]
    return {**mistakes, "confusion": rows}


def _rate_texts(history, first):
    """The entry of learning rates in the record: those of all blocks, from which iteration on.

    It is left out where they are those of the method's first run.
    """
    if not history.rates or (history is not first and history.rates == first.rates):
        return {}
    rows = {start: " ".join(f"{rate:.6g}" for rate in rates) for start, rates in history.rates}
    return {"rates": rows}


def _rate_numbers(rates):
    """The rates of an entry in the record; None if there are none."""
    return rates and [[int(start), list(map(float, row.split()))] for start, row in rates.items()]
