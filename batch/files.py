"""Writing files whole, in the place of what stands there."""

import contextlib
import os
import pathlib
import secrets


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
