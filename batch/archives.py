"""Archives of anyone's: what a zip or an array in it declares is checked before it is read."""

import contextlib
import math
import os
import stat
import zipfile

from numpy.lib import format as npy

from batch.files import check_file, check_memory
from batch.shown import first_line, short

SMALL = 2**28  # bytes: up to here, how well an archive is compressed is no matter
MOST_EXPANSION = 100  # bytes for one of the file; above, it is made to fill memory
PLAIN = "biufcSUV"  # kinds of NumPy's types without objects
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class ArchiveError(ValueError):
    """An archive that can't be read; the message says why, without its name."""


@contextlib.contextmanager
def opened(path):
    """The zip archive in a file, whose members are checked; whatever fails becomes one error.

    Yields
    ------
    zipfile.ZipFile
        No member of it has a name that leads elsewhere, or declares more than fits in memory.

    Raises
    ------
    ArchiveError
        Also for what fails within the context with a broken archive.
    FileNotFoundError
    """
    try:
        check_file(path)
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, os.stat(path).st_size)
            yield archive
    except (ArchiveError, FileNotFoundError):
        raise
    except KeyError as error:
        raise ArchiveError(str(error.args[0])) from error
    except ValueError as error:
        raise ArchiveError(str(error)) from error
    except Exception as error:  # whatever zipfile, zlib and NumPy fail with in a broken file
        raise ArchiveError(f"it is broken ({first_line(error)})") from error


def _check_members(archive, size):
    names = [member.filename for member in archive.infolist()]
    if len(set(names)) < len(names):
        raise ArchiveError("it has a member twice")
    for member in archive.infolist():
        _check_member(member)
    packed, whole = (
        sum(getattr(member, name) for member in archive.infolist())
        for name in ("compress_size", "file_size")
    )
    if packed > size:
        raise ArchiveError("its members overlap")
    if whole > max(SMALL, MOST_EXPANSION * size):
        raise ArchiveError(f"it declares {whole / 1e6:,.0f} MB in a file of {size / 1e6:,.3f} MB")
    check_memory("it", whole)


def _check_member(member):
    parts = member.filename.replace("\\", "/").split("/")
    link = stat.S_ISLNK(member.external_attr >> 16)
    if link or ".." in parts or not parts[0] or ":" in parts[0]:
        raise ArchiveError(f"its member {short(member.filename)} leads elsewhere")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError("it is compressed in an unusual way")
    if member.flag_bits & 1:
        raise ArchiveError("it is encrypted")


def read_arrays(path, names=None):
    """The arrays in an .npz.

    Parameters
    ----------
    path : path
    names : sequence of str, optional
        Of those that are wanted; all by default.

    Returns
    -------
    dict of ndarray

    Raises
    ------
    ArchiveError
        If it is no such file, not whole, or lacks one; if one holds objects, or is not as large as
        it says.
    FileNotFoundError
    """
    with opened(path) as archive:
        if names is None:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        return {name: _array(archive, f"{name}.npy") for name in names}


def _array(archive, name):
    with archive.open(name) as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise ArchiveError(f"{name} has a header of another version")
        shape, _, dtype = HEADERS[version](file)
        plain = dtype.kind in PLAIN and not dtype.hasobject and not dtype.names and dtype.itemsize
        if not plain or min(shape, default=0) < 0:
            raise ArchiveError(f"{name} is no plain array")
        declared, held = math.prod(shape) * dtype.itemsize, _size(archive, name) - file.tell()
        if declared != held:
            raise ArchiveError(f"{name} declares {declared:,} bytes, and has {held:,}")
    with archive.open(name) as file:
        return npy.read_array(file, allow_pickle=False)


def _size(archive, name):
    return archive.getinfo(name).file_size
