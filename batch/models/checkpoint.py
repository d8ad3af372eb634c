"""Checkpoints of a run: written whole or not at all, verified when read; only the newest stay.

A checkpoint is a folder, named after the iteration, with

- `model`: what `TFModel.save` writes: weights, slots of the optimizers, iteration, states of random
  generators, config;
- `history.csv`: the rows of the run so far;
- `checkpoint.json`: the settings of the run, the iteration, when a target was reached, and the
  SHA-256 of the other two.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil

from batch.checks import positive_whole
from batch.data.history import History, read_histories, write_histories
from batch.files import to_disk, write_text

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
        whole = self.folder / f"{model.iteration:08}"
        partial = whole.with_suffix(".partial")
        for abandoned in self.folder.glob("*.partial"):  # from an interrupted save
            if abandoned.stem.isdecimal() and abandoned.is_dir() and not abandoned.is_symlink():
                shutil.rmtree(abandoned)
        partial.mkdir(parents=True)
        model.save(partial / "model")
        write_histories([history], partial / "history.csv")
        record = {
            "iteration": model.iteration,
            "run": run,
            "target": history.target,
            "sha256": {name: _digest(partial / name) for name in FILES},
        }
        write_text(partial / RECORD, json.dumps(record, indent=2) + "\n")
        for path in (*partial.iterdir(), partial):
            to_disk(path)
        shutil.rmtree(whole, ignore_errors=True)
        partial.rename(whole)
        to_disk(self.folder)
        later = [path for path in self._folders() if int(path.name) > model.iteration]
        for old in (*later, *self._folders()[len(later) + self.keep :]):
            shutil.rmtree(old)  # later ones: the run went back to before them

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
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        damaged = [name for name in FILES if _digest(folder / name) != record["sha256"][name]]
        if damaged:
            raise CheckpointError(f"{folder / damaged[0]} is damaged")
        (history,) = read_histories(folder / "history.csv")
        history.target = record.get("target")
        return Checkpoint(folder, record["iteration"], history, record["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} is no checkpoint: {error}") from error


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
