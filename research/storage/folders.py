"""The folder that a command writes: whole or not at all, by one command at a time, or gone on with.

While a command writes `DIR`, its files are in `DIR.partial`. What an interrupted one left there and
is to be replaced stays beside it, as `.DIR.partial`, until the new one has something of its own.
"""

import contextlib
import datetime
import json
import pathlib
import shutil

from batch.files import remove_abandoned, to_disk, write_text
from research.interruption import Interrupted, finished_first
from research.names import BENCH_RECORD, MARGIN, PARTIAL
from research.storage.contents import (
    CHECKPOINTS,
    RECORD,
    entries,
    is_ours,
    read_json,
    worth_keeping,
)
from research.storage.locks import LockedError, only_writer
from research.verdicts.labels import files_of

BEGUN = "begun.json"  # in a partial folder: what was asked for
WHAT = {  # what commands go on with, and where it lies
    "compare": ("comparison", f"{CHECKPOINTS}/*"),
    "train": ("run", f"{CHECKPOINTS}/*"),
    "bench": ("benchmark", BENCH_RECORD),
}
ELSEWHERE = ("data_sha256", "method_files")  # outside of a record's settings, if it is not older
LATER = {"margin": MARGIN}  # settings that older records lack, and what they were then


class ResultsError(RuntimeError):
    """A folder that can't be written, or that holds no results."""


class Place:
    """A folder that a command writes.

    Attributes
    ----------
    target : pathlib.Path
        Where the results will be.
    path : pathlib.Path
        Where they are until then.
    finished : bool
        Whether there is nothing to go on with, because the target is there.
    adds : bool
        Whether the runs of the finished target are part of what is asked for now.
    asked : dict
        What an earlier command was asked for, in plain values, if this one goes on with it.
    needless : sequence of str
        Folders in it that go once it is in its place.
    waited : bool
        Whether it was waited for room on the disk.
    """

    def __init__(self, target, kind=""):
        self.target, self._kind = target, kind
        self.path = target.with_name(f"{target.name}{PARTIAL}")
        self.finished, self.adds, self.asked, self._overwrites = False, False, {}, False
        self.needless, self.waited = (), False

    def begin(self, asked):
        """Record what is asked for, or refuse to go on with something else.

        More seeds are no other thing: what is there is then a part of it.

        Parameters
        ----------
        asked : dict
            In plain values.

        Raises
        ------
        ResultsError
            If it differs from what the folder was begun with; it says in what.
        """
        asked = json.loads(json.dumps(asked))
        names = [name for name in {**self.asked, **asked} if _differs(name, self.asked, asked)]
        more = names == ["seeds"] and set(self.asked.get("seeds", ())) < set(asked["seeds"])
        if self.asked and names and not more:
            there = "; ".join(
                f"{name} {_shown(self.asked, name)} there, {_shown(asked, name)} here"
                for name in names
            )
            raise ResultsError(f"{self.target} is of other settings: {there}")
        if self.finished and more:
            self.finished, self.adds, self._overwrites = False, True, True
            self.path.mkdir(exist_ok=True)
        if not self.finished:
            self._write(asked)
        elif (self.target / BEGUN).exists():
            self._tidy()

    def _write(self, asked):
        how = {"kind": self._kind, "overwrite": self._overwrites, "adds": self.adds}
        write_text(self.path / BEGUN, json.dumps({**how, "asked": asked}, indent=2) + "\n")

    def enter(self, overwrite, resume):
        """Make the folder, once it is known to be free."""
        self._recover()
        _check_target(self.target, self.path)
        remove_abandoned(self.path)
        if resume:
            self._read()
        elif self.target.exists() and not overwrite:
            raise ResultsError(f"{self.target} exists: choose another folder, or --overwrite it")
        _check_replaceable(self.target)
        remove_abandoned(self.target)
        if self.finished:
            return
        self._overwrites |= overwrite
        if not resume and any(entries(self.path)):
            self._set_aside(overwrite)
        try:
            self.path.mkdir(exist_ok=self.path.exists())
            if not self.asked:
                self._write({})
        except OSError as error:
            raise ResultsError(f"Can't write {self.target}: {error.strerror}") from error

    def complete(self):
        """Put the folder in its place, and remove what is not needed there.

        At every moment there are the earlier results or the new ones, or what puts them there.
        """
        shutil.rmtree(self._earlier, ignore_errors=True)
        if self.target.exists():
            if not self._overwrites:
                raise ResultsError(
                    f"{self.target} came to be meanwhile: results are in {self.path}"
                )
            _check_replaceable(self.target)
            self.target.rename(self._replaced)
        self.path.rename(self.target)
        to_disk(self.target.parent)
        shutil.rmtree(self._replaced, ignore_errors=True)
        self._tidy()

    def leave(self):
        """Remove the folder, if it holds nothing worth to be kept; else what it was to replace."""
        if self.path.exists() and not worth_keeping(self.path):
            shutil.rmtree(self.path)
            if self._earlier.exists():
                self._earlier.rename(self.path)
        shutil.rmtree(self._earlier, ignore_errors=True)

    @property
    def advice(self):
        """How to go on with what is kept; empty if nothing is."""
        if not self.path.exists():
            return ""
        return f"what is done is kept: --out {self.target} --resume goes on with it"

    @property
    def _earlier(self):
        return self.path.with_name(f".{self.path.name}")

    @property
    def _replaced(self):
        return self.target.with_name(f".{self.target.name}.replaced")

    def _tidy(self):
        """Remove what is needless from the finished folder, and last the sign that it is there."""
        for name in self.needless:
            shutil.rmtree(self.target / name, ignore_errors=True)
        (self.target / BEGUN).unlink(missing_ok=True)

    def _recover(self):
        """Put back what a killed command had set aside, unless it left something of its own."""
        if self._replaced.is_dir() and not self._replaced.is_symlink():
            if self.target.exists():
                shutil.rmtree(self._replaced)
            else:
                self._replaced.rename(self.target)
        if not self._earlier.exists() or self._earlier.is_symlink():
            return
        if not (self.path.exists() and worth_keeping(self.path)):
            shutil.rmtree(self.path, ignore_errors=True)
            self._earlier.rename(self.path)
        shutil.rmtree(self._earlier, ignore_errors=True)

    def _read(self):
        """Read what was asked for, or refuse what is not ours, or not of this command."""
        if self.target.name.endswith(PARTIAL):
            raise ResultsError(f"To resume {self.target}, name it without {PARTIAL}")
        begun, (what, where) = read_json(self.path / BEGUN), WHAT[self._kind]
        ours = begun.get("kind") == self._kind or any(self.path.glob(where))
        if any(entries(self.path)) and not ours:
            raise ResultsError(f"{self.path} holds no {what} to resume: move it, or --overwrite it")
        _check_ours(self.path)
        self._overwrites, self.adds = bool(begun.get("overwrite")), bool(begun.get("adds"))
        self.asked = begun.get("asked", {})
        if not self.target.exists():
            return
        if any(entries(self.path)) and not self._overwrites:
            raise ResultsError(
                f"{self.target} holds earlier results: move them to resume {self.path}"
            )
        if not any(entries(self.path)):
            record = read_json(self.target / RECORD)
            self.finished = True
            threads = record.get("environment", {}).get("threads")
            files = files_of(record.get("methods") or {})
            known = {"data_sha256": record.get("data_sha256"), "method_files": files}
            known = {name: value for name, value in known.items() if value}
            self.asked = {**record.get("settings", {}), "threads": str(threads), **known}

    def _set_aside(self, overwrite):
        """Move what an interrupted command left, until this one has something in its place."""
        if not overwrite:
            resume = "--resume that, " if worth_keeping(self.path) else ""
            raise ResultsError(
                f"{self.path} holds what an interrupted run left: {resume}move it, or --overwrite "
                "it"
            )
        _check_ours(self.path)
        self.path.rename(self._earlier)


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
    Place
        If it is `finished`, there is nothing to write.

    Raises
    ------
    ResultsError
        If `out` or `out.partial` exist (with `overwrite`: hold something else than results), or
        can't be written.
    LockedError
        If another run writes `out`.
    """
    with contextlib.ExitStack() as stack:
        place = Place(_claim(stack, out) if out else _claim_new(stack, kind), kind)
        place.enter(overwrite, resume)
        try:
            yield place
            if not place.finished:
                with finished_first():
                    place.complete()
        except Interrupted as interrupted:
            place.leave()
            interrupted.advice = place.advice
            raise
        finally:
            place.leave()


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
        new = not target.exists() and not Place(target).path.exists()
        if new:
            stack.push(attempt.pop_all())
    return new


def _check_target(target, partial):
    """Refuse links to folders."""
    for path in (target, partial):
        if path.is_symlink():
            raise ResultsError(f"{path} is a symbolic link, so it is left alone")


def _check_replaceable(target):
    """Refuse to replace what is no folder of results."""
    if target.exists() and not (target / RECORD).exists() and any(entries(target)):
        raise ResultsError(f"{target} holds something else than results, so it is left alone")


def _check_ours(partial):
    if not all(is_ours(path) for path in entries(partial)):
        raise ResultsError(f"{partial} holds something else than results, so it is left alone")


def _differs(name, theirs, ours):
    """Whether what was asked for differs; a cache of any size is 'auto', where that is asked."""
    if name in ELSEWHERE and name not in theirs:
        return False
    if name == "cache" and ours.get(name) == "auto":
        return False
    return theirs.get(name, LATER.get(name)) != ours.get(name)


def _shown(asked, name):
    value = asked.get(name, LATER.get(name, "not given"))
    return ",".join(map(str, value)) if isinstance(value, list) else value
