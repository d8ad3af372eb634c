"""The folder of a comparison or a run: written whole or not at all, and read back."""

import contextlib
import datetime
import json
import pathlib
import shutil

from batch.data.history import read_histories, write_histories
from batch.files import replacing, write_text
from batch.shown import first_line
from research import recorded
from research.locks import LockedError, only_writer
from research.names import BENCH_RECORD, PARTIAL
from research.statistics import SUMMARY, summarize

CHECKPOINTS = "checkpoints"  # name of their folder
RESUMABLE = {  # what an interrupted command goes on with, and where it lies
    "train": ("checkpoint", f"{CHECKPOINTS}/*"),
    "bench": ("benchmark", BENCH_RECORD),
}
# What commands write.
WRITTEN = (".jsonl", ".csv", ".json", ".keras", ".png", ".html", ".ipynb", ".md")


class ResultsError(RuntimeError):
    """A folder that can't be written, or that holds no results."""


@contextlib.contextmanager
def new_folder(out, kind, overwrite=False, resume=False):
    """A folder to write in that becomes `out` when all is done; nobody else writes it meanwhile.

    If that fails, the folder vanishes, unless it holds metrics, checkpoints or rows of a benchmark:
    then it stays, as `out.partial`.

    Parameters
    ----------
    out : path or None
        By default a new folder under `runs/`, named after `kind` and the time.
    kind : str
    overwrite : bool
        Replace a folder of earlier results, and what an interrupted run left.
    resume : bool
        Go on in the folder that an interrupted run left, if there is one.

    Yields
    ------
    pathlib.Path
        The folder to write in.

    Raises
    ------
    ResultsError
        If `out` or `out.partial` exist (with `overwrite`: hold something else than results), or
        can't be written.
    LockedError
        If another run writes `out`.
    """
    with contextlib.ExitStack() as stack:
        target = _claim(stack, out) if out else _claim_new(stack, kind)
        partial = _partial(target)
        _check_target(target, partial, overwrite, resume and kind)
        earlier = target.with_name(f".{partial.name}")
        if not resume and partial.exists() and any(_entries(partial)):
            _set_aside(partial, earlier, overwrite)
        try:
            partial.mkdir(exist_ok=partial.exists())
        except OSError as error:
            raise ResultsError(f"Can't write {target}: {error.strerror}") from error
        try:
            yield partial
            _put_in_place(partial, target, overwrite)
        finally:
            if partial.exists() and not _worth_keeping(partial):
                shutil.rmtree(partial)
                if earlier.exists():
                    earlier.rename(partial)
            shutil.rmtree(earlier, ignore_errors=True)


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


def _claim(stack, out):
    """The folder that was asked for, locked until the stack ends."""
    target = pathlib.Path(out)
    try:
        stack.enter_context(only_writer(target))
    except OSError as error:
        raise ResultsError(f"Can't write {target}: {error.strerror}") from error
    return target


def _claim_new(stack, kind):
    """A folder under `runs/` that nobody else has or writes, locked until the stack ends."""
    name = f"runs/{kind}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    target, number = pathlib.Path(name), 1
    while not _is_new(stack, target):
        number += 1
        target = pathlib.Path(f"{name}-{number}")
    return target


def _is_new(stack, target):
    """Whether a folder is not there, and nobody writes it: then lock it until the stack ends."""
    with contextlib.ExitStack() as attempt:
        try:
            _claim(attempt, target)
        except LockedError:
            return False
        new = not target.exists() and not _partial(target).exists()
        if new:
            stack.push(attempt.pop_all())
    return new


def _partial(target):
    return target.with_name(f"{target.name}{PARTIAL}")


def _put_in_place(partial, target, overwrite):
    if target.exists():
        if not overwrite:
            raise ResultsError(f"{target} came to be meanwhile: results are in {partial}")
        _check_replaceable(target)
        shutil.rmtree(target)
    partial.rename(target)


def _check_target(target, partial, overwrite, resume):
    """Refuse a folder that exists, unless it may be replaced, and links to folders.

    `resume` is the kind of what is to be resumed, or False.
    """
    for path in (target, partial):
        if path.is_symlink():
            raise ResultsError(f"{path} is a symbolic link, so it is left alone")
    if resume:
        _check_resumable(target, partial, *RESUMABLE[resume])
    elif target.exists() and not overwrite:
        raise ResultsError(f"{target} exists: choose another folder, or --overwrite it")
    _check_replaceable(target)


def _check_replaceable(target):
    """Refuse to replace what is no folder of results."""
    if target.exists() and not (target / "experiment.json").exists() and any(_entries(target)):
        raise ResultsError(f"{target} holds something else than results, so it is left alone")


def _check_resumable(target, partial, what, where):
    """Refuse to resume where there is nothing to but other files, which would be lost."""
    if target.name.endswith(PARTIAL):
        raise ResultsError(f"To resume {target}, name it without {PARTIAL}")
    resumable = any(partial.glob(where))
    if target.exists() and resumable:
        raise ResultsError(f"{target} holds earlier results: move them to resume {partial}")
    if target.exists():
        raise ResultsError(f"{target} is finished: there is nothing to resume")
    if any(_entries(partial)) and not resumable:
        raise ResultsError(f"{partial} holds no {what} to resume: move it, or --overwrite it")
    _check_ours(partial)


def _check_ours(partial):
    if not all(_is_ours(path) for path in _entries(partial)):
        raise ResultsError(f"{partial} holds something else than results, so it is left alone")


def _set_aside(partial, earlier, overwrite):
    """Move what an interrupted run left, until a new run has something to put in its place."""
    if not overwrite:
        resumable = any(any(partial.glob(where)) for _, where in RESUMABLE.values())
        resume = "--resume that, " if resumable else ""
        raise ResultsError(
            f"{partial} holds what an interrupted run left: {resume}move it, or --overwrite it"
        )
    _check_ours(partial)
    shutil.rmtree(earlier, ignore_errors=True)
    partial.rename(earlier)


def _is_ours(path):
    if path.is_symlink():
        return False
    return path.name == CHECKPOINTS if path.is_dir() else path.suffix in WRITTEN


def _worth_keeping(folder):
    """Whether there are checkpoints, metrics, or the results themselves."""
    metrics = any(path.stat().st_size for path in folder.glob("*.jsonl"))
    metrics |= (folder / "bench.csv").exists()
    checkpoints = any(folder.glob(f"{CHECKPOINTS}/*"))
    return metrics or checkpoints or (folder / "experiment.json").exists()


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
        For the record: its `methods`, as from `research.labels.describe`, and its `data`, as from
        `Data.summary`.
    """
    folder = pathlib.Path(folder)
    write_histories(histories, folder / "results.csv")
    names = ("method", "seed", "accuracy", "cache")
    runs = [
        {name: getattr(history, name) for name in names} | _with_texts(history.mistakes)
        for history in histories
    ]
    write_record(folder, settings, environment, predicted_ratio=predicted_ratio, runs=runs, **more)
    if settings["command"] == "compare":
        summary = summarize(histories, predicted_ratio, more.get("methods"))
        with replacing(folder / "summary.csv") as new:
            summary.to_csv(new, columns=SUMMARY, index=False)


def write_record(folder, settings, environment, **more):
    """Write `experiment.json`, by which `new_folder` knows a folder of ours."""
    record = {"settings": settings, "environment": environment, **more}
    write_text(pathlib.Path(folder, "experiment.json"), json.dumps(record, indent=2) + "\n")


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
            history.mistakes = _with_numbers(run.get("mistakes"))
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
    except (OSError, ResultsError, LockedError):
        raise
    except Exception as error:
        where = ", ".join(map(str, folders))
        raise ResultsError(
            f"{where} can't be drawn, and may be damaged: {first_line(error)}"
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


def _entries(folder):
    if folder.is_dir():
        return list(folder.iterdir())
    return [folder] if folder.exists() else []
