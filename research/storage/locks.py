"""One process at a time writes a folder: a lock that ends with the process, however that ends."""

import contextlib
import errno
import os
import pathlib

try:
    import fcntl
except ImportError:  # there is none on Windows: folders are only made exclusively there
    fcntl = None

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of file systems that have none


class LockedError(RuntimeError):
    """Another process writes the folder."""


@contextlib.contextmanager
def only_writer(folder):
    """Be the only one who writes a folder, by a lock on `.NAME.lock` beside it.

    A file that a killed process left holds no lock, so it is in nobody's way.

    Parameters
    ----------
    folder : path
        It need not exist; the folder that it lies in is made.

    Raises
    ------
    LockedError
        If another one writes it, in this process or another.
    OSError
        If there can't be a file beside it.
    """
    path = pathlib.Path(os.path.realpath(folder))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    descriptor = None
    while descriptor is None:
        descriptor = _locked(lock, folder)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is locked, so it is still ours
        os.close(descriptor)


def _locked(lock, folder):
    """A descriptor of the locked file; None if another removed the file meanwhile."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        _lock(descriptor)
        ours = os.path.samestat(os.fstat(descriptor), os.stat(lock))
    except BlockingIOError:
        os.close(descriptor)
        raise LockedError(
            f"Another run is writing {folder}: wait for it, or choose another folder"
        ) from None
    except FileNotFoundError:
        ours = False
    if ours:
        return descriptor
    os.close(descriptor)
    return None


def _lock(descriptor):
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
