"""Folders of images, with a folder for each class."""

import logging
import os
import pathlib

from batch.checks import optional, positive_whole
from batch.data.dataset import KINDS, Data, DataError, check_covered
from batch.data.decoded import DecodedImages
from batch.data.image_file import SUFFIXES
from batch.data.resize import MOST_SIDE

NAMED = 5  # files that an error names, at most


def load_image_folder(folder, image_size=None, *, skip_broken=False):
    """The images of a folder, decoded only the first time; they may be larger than memory.

    Parameters
    ----------
    folder : path
        With a folder for each class, or with `train` and `test`, which have these. Without `test`,
        one of seven images of each class, at random but always the same, is for testing. Files may
        lie deeper; hidden ones do not count.
    image_size : int, optional
        Height and width. By default those of the images, if all have the same, else the median of
        their shorter sides. `batch.data.image_file.decoded` says how images come to it.
    skip_broken : bool
        Leave out files that can't be used, with a warning that says how many.

    Returns
    -------
    Data
        Its `names` are those of the classes, sorted.

    Raises
    ------
    DataError
        If files can't be used; it names them, and what is wrong. If there are not two classes, or
        a class without an image to train on. If the disk has no room for what is decoded.
    """
    folder = pathlib.Path(folder)
    side = optional(positive_whole, "image_size", image_size, MOST_SIDE)
    names, files, foreign = _listed(folder)
    images = DecodedImages(folder, files, side)
    notes = [*_left_out({**foreign, **images.broken}, skip_broken, folder), *images.notes]
    for note in notes:
        logging.getLogger(__name__).warning("%s: %s.", _printable(folder), _printable(note))
    splits = [images.split(kind) for kind in KINDS]
    for label, name in enumerate(names):
        if label not in splits[0].labels:
            raise DataError(_printable(f"{folder}: class {name} has no image to train on"))
    if not len(splits[1].labels):
        raise DataError(f"{_printable(folder)} has no image to test on")
    name = _printable(folder.resolve().name)
    data = Data(name, len(names), *splits, names=tuple(map(_printable, names)))
    check_covered(data)
    return data


def is_image_folder(folder):
    """Whether a folder has folders, which may be classes."""
    return bool(_folders(pathlib.Path(folder)))


def _listed(folder):
    """Classes; files with label and split; and what is no image by its name, with the reason."""
    split = {top.name for top in _folders(folder)} == set(KINDS)
    roots = {kind: folder / kind for kind in KINDS} if split else {"": folder}
    names = sorted({own.name for root in roots.values() for own in _folders(root)})
    if len(names) < 2:
        raise DataError(
            f"{_printable(folder)} must have a folder of images for each class, two at least"
            f"{', in train and in test' if split else ''}. "
            f"Received: {_printable(', '.join(names)) or 'none'}"
        )
    files, foreign = [], {}
    for kind, root in roots.items():
        for label, name in enumerate(names):
            for path in _within(root / name):
                where = str(path.relative_to(folder))
                if path.is_dir():
                    foreign[where] = "is a symbolic link to a folder"
                elif path.suffix.lower() not in SUFFIXES:
                    foreign[where] = f"ends in none of {', '.join(SUFFIXES)}"
                else:
                    files.append((where, label, kind))
    return names, files, foreign


def _folders(folder):
    """The folders in a folder, but for hidden ones."""
    try:
        return [own for own in folder.iterdir() if own.is_dir() and own.name[0] != "."]
    except OSError as error:
        raise DataError(f"{_printable(folder)} can't be read: {error.strerror}") from error


def _within(folder):
    """Files in a folder and in those within it, and links to folders; nothing hidden."""
    for root, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if name[0] != ".")
        links = [name for name in inner if pathlib.Path(root, name).is_symlink()]
        shown = [name for name in files if name[0] != "."]
        yield from (pathlib.Path(root, name) for name in sorted([*shown, *links]))


def _left_out(broken, skip_broken, folder):
    """What is to be said of files that can't be used: they are left out, or refused."""
    if not broken:
        return []
    first = [f"{path} {reason}" for path, reason in sorted(broken.items())[:NAMED]]
    more = f"; and {len(broken) - NAMED:,} more" if len(broken) > NAMED else ""
    files = f"{len(broken):,} file{'s' * (len(broken) > 1)}"
    if not skip_broken:
        raise DataError(
            _printable(
                f"{folder}: {files} can't be used: {'; '.join(first)}{more}. Mend or remove them"
            )
            + ", or leave them out with --skip-broken, skip_broken=True in Python"
        )
    return [f"{files} left out: {'; '.join(first)}{more}"]


def _printable(text):
    """A text without what can't be encoded, as parts of names of files may be."""
    return str(text).encode(errors="backslashreplace").decode()
