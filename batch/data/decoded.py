"""What was decoded of a folder of images, kept as arrays for the next time.

It lies in `images/` of the folder that the environment variable `RESBATCH_CACHE` names, by default
`~/.cache/resbatch`, and counts for these very files: by path, size and time.
"""

import hashlib
import json
import os
import pathlib
import shutil
import statistics
import tempfile

import numpy as np
import PIL
from tqdm import tqdm

from batch.data.dataset import KINDS, DataError, Split
from batch.data.image_file import SUFFIXES, ImageError, decoded, look
from batch.data.mapped import copy_rows, loaded, new_file
from batch.files import from_json, read_text

HELD_OUT = 7  # one of so many images of each class is for the test split, if the folder has none
VERSION = 1  # of how images are decoded
BAR = {"leave": False, "unit": "image", "delay": 1}  # of progress that takes over a second


class DecodedImages:
    """The images of a folder, as arrays.

    Parameters
    ----------
    folder : pathlib.Path
    files : list of (str, int, str)
        Path from the folder on, label, and split; where that is empty, every seventh image of each
        class, drawn with a fixed seed, is for testing.
    side : int or None
        Height and width; by default those of the images, if all have the same, else the median of
        their shorter sides.

    Attributes
    ----------
    broken : dict from str to str
        Paths of files that can't be used, and why.
    notes : list of str
        What else was noticed.

    Raises
    ------
    DataError
        If they have no room on the disk.
    """

    def __init__(self, folder, files, side=None):
        self._folder, self._files = folder, files
        self._place = self._placed(side)
        if not self._place.exists():
            self._keep(side)
        try:
            self._read()
        except (OSError, ValueError, KeyError, TypeError, EOFError, MemoryError):
            shutil.rmtree(self._place)  # it was damaged since it was written
            self._keep(side)
            self._read()

    def split(self, kind):
        """The `Split` for 'train' or 'test'; its images stay in their file if that is large."""
        return self._splits[kind]

    def _read(self):
        """Read what is kept."""
        index = from_json(read_text(self._place / "index.json"))
        self.broken, self.notes = dict(index["broken"]), list(index["notes"])
        self._splits = {kind: self._arrays(kind) for kind in KINDS}

    def _arrays(self, kind):
        images, labels = (self._place / f"{kind}_{what}.npy" for what in ("images", "labels"))
        split = Split(loaded(images), np.load(labels))
        kinds = split.images.dtype, split.images.ndim, split.labels.dtype, split.labels.ndim
        if kinds != (np.uint8, 4, np.int64, 1) or len(split.images) != len(split.labels):
            raise ValueError(f"{self._place} holds no images and labels as they were written")
        return split

    def _placed(self, side):
        root = os.environ.get("RESBATCH_CACHE") or os.path.join("~", ".cache", "resbatch")
        states = [[*file, *_state(self._folder / file[0])] for file in self._files]
        what = [VERSION, PIL.__version__, str(self._folder.resolve()), side, states]
        digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()
        return pathlib.Path(root).expanduser() / "images" / digest[:32]

    def _keep(self, side):
        """Decode all images, and write them whole."""
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            new = pathlib.Path(tempfile.mkdtemp(prefix=".", dir=self._place.parent))
            try:
                self._write(new, side)
                if not self._place.exists():
                    new.rename(self._place)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        except OSError as error:
            raise DataError(
                f"What is decoded of {self._folder} can't be kept in {self._place.parent}, which "
                f"RESBATCH_CACHE may name: {error.strerror}"
            ) from error

    def _write(self, new, side):
        """Write the arrays of both splits and what is noticed to a folder.

        Which rows are whose is known once all images are decoded, so these go to a file of their
        own first, in the order of their files.
        """
        headers, broken = self._look()
        size, colour = _size(headers.values(), side), any(one.colour for one in headers.values())
        shape = len(headers), *size, 3 if colour else 1
        self._check_space(shape)
        images, good = new_file(new / "images.npy", shape), []
        files = [file for file in self._files if file[0] in headers]
        for file in tqdm(files, "decoding", **BAR):
            try:
                images[len(good)] = decoded(self._folder / file[0], size, colour=colour)
                good.append(file)
            except ImageError as error:
                broken[file[0]] = str(error)
        labels = np.array([label for _, label, _ in good], np.int64)
        for kind, rows in _rows(labels, [kind for *_, kind in good]).items():
            copy_rows(images, rows, new_file(new / f"{kind}_images.npy", (len(rows), *shape[1:])))
            np.save(new / f"{kind}_labels.npy", labels[rows])
        (new / "images.npy").unlink()
        index = {"broken": broken, "notes": _notes(headers)}
        (new / "index.json").write_text(json.dumps(index), encoding="utf-8")

    def _look(self):
        """The headers of images, by path, and what is wrong with other files."""
        headers, broken = {}, {}
        for path, *_ in tqdm(self._files, "reading headers", **BAR):
            try:
                headers[path] = look(self._folder / path)
            except ImageError as error:
                broken[path] = str(error)
        return headers, broken

    def _check_space(self, shape):
        """Refuse images that the disk has no room for: a file for all, and the two splits."""
        count, *size = shape
        needed, free = 2 * int(np.prod(shape)), shutil.disk_usage(self._place.parent).free
        if needed > free:
            raise DataError(
                f"{self._folder}: {count:,} images of {'×'.join(map(str, size))} take "
                f"{needed / 1e9:.1f} GB of {self._place.parent} while they are decoded, and "
                f"{free / 1e9:.1f} GB are free: give a smaller image_size, or name another place "
                "in RESBATCH_CACHE"
            )


def _state(path):
    """Size and time of a file; nothing if it can't be asked."""
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns]


def _size(headers, side):
    """Height and width that all images are brought to."""
    if side is not None or not headers:
        return side or 1, side or 1
    sizes = {(header.height, header.width) for header in headers}
    if len(sizes) == 1:
        return sizes.pop()
    middle = round(statistics.median(min(header.height, header.width) for header in headers))
    return middle, middle


def _rows(labels, kinds):
    """The rows of each split; the order of those to train on is random, but always the same."""
    draw, kinds = np.random.RandomState(0), np.array(kinds, f"U{max(map(len, KINDS))}")
    if len(kinds) and not kinds[0]:
        kinds[:] = KINDS[0]
        for label in np.unique(labels):
            own = draw.permutation(np.flatnonzero(labels == label))
            kinds[own[: round(len(own) / HELD_OUT)]] = KINDS[1]
    train, test = (np.flatnonzero(kinds == kind) for kind in KINDS)
    return {KINDS[0]: draw.permutation(train), KINDS[1]: test}


def _notes(headers):
    """What is to be said of images that can be used."""
    moving = [path for path, header in headers.items() if header.frames > 1]
    others = {
        path: header.kind
        for path, header in headers.items()
        if SUFFIXES[pathlib.Path(path).suffix.lower()] != header.kind
    }
    notes = []
    if moving:
        notes.append(f"of {len(moving)} moving images, as {moving[0]}, the first frame counts")
    if others:
        path, kind = next(iter(others.items()))
        notes.append(f"{len(others)} of another kind than named, as {path}, which is a {kind}")
    return notes
