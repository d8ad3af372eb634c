"""Checkpoints of a run: written whole or not at all, verified when read; only the newest stay.

A checkpoint is a folder, named after the iteration, with

- `model`: what `TFModel.save` writes: weights, slots of the optimizers, iteration, states of random
  generators, config;
- `history.csv`: the rows of the run so far;
- `checkpoint.json`: the settings of the run, the iteration, when a target was reached, the rates
  that were in force, and the SHA-256 of the other two.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import shutil

from batch.checks import instance, positive_whole
from batch.data.history import History, read_histories, write_histories
from batch.files import check_file, from_json, read_text, to_disk, write_text

FILES = ("model", "history.csv")
RECORD = "checkpoint.json"


class CheckpointError(RuntimeError):
    """A checkpoint that is not whole, or is of another run."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint on the disk.

    Attributes
    ----------
    folder : pathlib.Path
    iteration : int
        Training steps made.
    history : History
    run : dict
        Settings of the run, as they were given to `Checkpoints.save`.
    """

    folder: pathlib.Path
    iteration: int
    history: History
    run: dict

    @property
    def model(self):
        """The file of the model, for `TFModel(config={'load': {'path': …}})`."""
        return self.folder / FILES[0]


class Checkpoints:
    """The checkpoints of a run in a folder.

    Parameters
    ----------
    folder : path
        Made when the first checkpoint is saved.
    keep : int
        How many of the newest are kept, 1 or more.
    """

    def __init__(self, folder, keep=3):
        self.folder = pathlib.Path(folder)
        self.keep = positive_whole("keep", keep)

    def save(self, model, history, run):
        """Write a checkpoint under a temporary name, rename it, and remove the oldest.

        Parameters
        ----------
        model : TFModel
        history : History
        run : dict
            Settings of the run, in plain values.
        """
        with self._new(f"{model.iteration:08}") as partial:
            model.save(partial / "model")
            write_histories([history], partial / "history.csv")
            record = {
                "iteration": model.iteration,
                "run": run,
                "target": history.target,
                "rates": history.rates,
                "sha256": {name: _digest(partial / name) for name in FILES},
            }
            write_text(partial / RECORD, json.dumps(record, indent=2) + "\n")

    def packed(self):
        """The newest checkpoint as a name and its files' bytes, for `put`; None if none is there.

        Returns
        -------
        (str, dict from str to bytes) or None
        """
        folders = self._folders()
        if not folders:
            return None
        return folders[0].name, {path.name: path.read_bytes() for path in folders[0].iterdir()}

    def put(self, name, files):
        """Write a checkpoint that `packed` gave."""
        with self._new(name) as partial:
            for file, content in files.items():
                (partial / file).write_bytes(content)

    @contextlib.contextmanager
    def _new(self, name):
        """A folder to write a checkpoint in, which then takes its place; the oldest ones go."""
        whole = self.folder / name
        partial = whole.with_suffix(".partial")
        for abandoned in self.folder.glob("*.partial"):  # from an interrupted save
            if abandoned.stem.isdecimal() and abandoned.is_dir() and not abandoned.is_symlink():
                shutil.rmtree(abandoned)
        partial.mkdir(parents=True)
        yield partial
        for path in (*partial.iterdir(), partial):
            to_disk(path)
        self._replace(whole, partial)
        later = [path for path in self._folders() if int(path.name) > int(name)]
        for old in (*later, *self._folders()[len(later) + self.keep :]):
            shutil.rmtree(old)  # later ones: the run went back to before them

    def _replace(self, whole, partial):
        """Put a checkpoint in its place; an earlier one of this iteration goes after that."""
        earlier = whole.with_name(f"0{whole.name}")  # still a checkpoint of this iteration
        if whole.exists():
            shutil.rmtree(earlier, ignore_errors=True)
            whole.rename(earlier)
        partial.rename(whole)
        to_disk(self.folder)
        shutil.rmtree(earlier, ignore_errors=True)

    def newest(self):
        """The newest checkpoint that is whole, or None if there is none.

        Raises
        ------
        CheckpointError
            If there are checkpoints, but none is whole.
        """
        troubles = []
        for folder in self._folders():
            try:
                return read_checkpoint(folder)
            except CheckpointError as error:
                troubles.append(str(error))
        if troubles:
            raise CheckpointError(f"No checkpoint is whole: {'; '.join(troubles)}")
        return None

    def _folders(self):
        """Folders of checkpoints, the newest first; partial ones have other names."""
        return sorted(
            (path for path in self.folder.glob("*") if path.name.isdecimal()),
            key=lambda path: int(path.name),
            reverse=True,
        )


def read_checkpoint(folder):
    """A checkpoint from its folder.

    Raises
    ------
    CheckpointError
        If a file in it is missing or damaged.
    """
    folder = pathlib.Path(folder)
    try:
        record = from_json(read_text(folder / RECORD))
        damaged = [name for name in FILES if _digest(folder / name) != record["sha256"][name]]
        if damaged:
            raise CheckpointError(f"{folder / damaged[0]} is damaged")
        (history,) = read_histories(folder / "history.csv")
        more = {name: record.get(name) for name in ("target", "rates")}
        history = History(**{**history.as_dict(), **more})
        iteration = positive_whole("iteration", record["iteration"])
        run = instance("run", record["run"], dict, "a dict")
        return Checkpoint(folder, iteration, history, run)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} is no checkpoint: {error}") from error


def _digest(path):
    check_file(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()
