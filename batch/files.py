"""Files: written whole, in the place of what stands there; read as those of anyone."""

import contextlib
import json
import os
import pathlib
import re
import secrets
import stat

from batch.machine import free_memory

DEEPEST = 200  # lists and dicts within each other in JSON
MEMORY = 8  # bytes of memory that reading a byte of text may take

NEW = re.compile(r"\.[0-9a-f]{16}(\.\w+)?")  # names of files that are not whole yet


@contextlib.contextmanager
def replacing(path):
    """A new file beside `path`, to be written; at the end it takes the place of what stands there.

    So `path` is written whole or not at all. A symbolic link there is replaced, and what it points
    to stays as it is.

    Yields
    ------
    pathlib.Path
        An empty file in the same folder, with the same suffix.

    Raises
    ------
    OSError
        If it can't be written; it names `path`.
    """
    path = pathlib.Path(path)
    new = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        new.touch(exist_ok=False)
        yield new
        to_disk(new)
        os.replace(new, path)
        to_disk(path.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(new)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def remove_abandoned(folder):
    """Remove the files that killed processes were about to put in a folder, which nobody writes."""
    for path in pathlib.Path(folder).glob(".*"):
        if NEW.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


def to_disk(path):
    """Wait until a file, or the names in a folder, would survive a power cut."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path, text):
    """Write a text file, UTF-8, whole; a symbolic link at `path` is replaced, not followed."""
    with replacing(path) as new:
        # A name that is not UTF-8 reaches us with surrogates, which no file can hold.
        new.write_text(text, encoding="utf-8", errors="backslashreplace")


def check_file(path, memory=1):
    """Refuse what is no regular file, which could be read without end, or is too large to be read.

    Parameters
    ----------
    path : path
    memory : float
        Bytes that reading one of its bytes takes.

    Raises
    ------
    ValueError
    OSError
        If there is no such file.
    """
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{path} is no regular file")
    check_memory(path, memory * state.st_size)


def check_memory(what, needed):
    """Refuse what takes more memory, in bytes, than is free, with a ValueError."""
    free = free_memory()
    if needed > free:
        raise ValueError(
            f"{what} takes {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free"
        )


def read_text(path):
    """The text of a file, UTF-8.

    Raises
    ------
    ValueError
        If it is no regular file or no text, or too large.
    OSError
        If it can't be read.
    """
    check_file(path, MEMORY)
    return pathlib.Path(path).read_text(encoding="utf-8")


def from_json(text):
    """The value of a JSON text.

    Raises
    ------
    ValueError
        If it is none, or goes deeper than `DEEPEST`.
    """
    with contextlib.suppress(RecursionError):
        value = json.loads(text)
        level = [value]
        for _ in range(DEEPEST):
            level = [inner for outer in level for inner in _within(outer)]
            if not level:
                return value
    raise ValueError(f"its JSON goes deeper than {DEEPEST} lists and dicts within each other")


def _within(value):
    """The lists and dicts in a list or a dict."""
    if not isinstance(value, (dict, list)):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [each for each in inner if isinstance(each, (dict, list))]
