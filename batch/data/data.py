"""Image classification data by name or path."""

import copy
import functools
import importlib
import os
import pathlib

import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from batch import archives, checks
from batch.data.blk import MOST_BYTES, BlkError, read_checked, warn_unchecked, write_blk
from batch.data.dataset import Data, DataError, Split
from batch.data.image_folder import is_image_folder, load_image_folder
from batch.data.labels import one_hot
from batch.data.resize import MOST_SIDE
from batch.machine import free_memory
from batch.shown import short
from batch.spelling import did_you_mean

NAMES = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


class UnknownDataError(DataError):
    """No data set has this name."""


def load_data(source="digits", *, image_size=None, skip_broken=False):
    """Load a data set.

    Parameters
    ----------
    source : str or path
        - `digits`: scikit-learn's 1,797 images, brought to 28×28 the way MNIST is; 450 of them,
          stratified and fixed, are the test split. Needs no network.
        - `mnist`, `fashion_mnist`, `cifar10`, `cifar100`: `NAME.npz` in the folder that the
          environment variable `RESBATCH_DATA` names, if it is there, otherwise `keras.datasets`.
        - the path of an `.npz` with x_train, y_train, x_test, y_test, as `Data.of` takes them
        - the path of a folder with `*_pics.blk` and `*_labels.blk`, train rows first; the last
          seventh is the test split
        - the path of a folder with a folder of images for each class, as `load_image_folder` takes
          it
    image_size : int, optional
        Bring all images to so many pixels in height and width.
    skip_broken : bool
        Leave out images of a folder that can't be used.

    Returns
    -------
    Data

    Raises
    ------
    DataError
        If there are no such data, or not as described; it names the file and what was expected.
    """
    name = checks.path("source", source)
    side = checks.optional(checks.positive_whole, "image_size", image_size, MOST_SIDE)
    skip_broken = checks.true_or_false("skip_broken", skip_broken)
    data = _loaded(name, side, skip_broken)
    return data.with_image_size(side) if side else data


def _loaded(name, side, skip_broken):
    """The data set of a name or path, as it is; images of a folder come to a size."""
    if name == "digits":
        return copy.deepcopy(_digits())  # so that whoever changes them changes only their own
    if name in NAMES:
        local = _local(name)
        return _from_npz(local, name) if local else _from_keras(name)
    path = pathlib.Path(os.path.expanduser(name))
    if path.is_dir():
        if not any(path.glob("*_pics.blk")) and is_image_folder(path):
            return load_image_folder(path, side, skip_broken=skip_broken)
        return _from_folder(path)
    if path.suffix == ".npz" or path.is_file():
        return _from_npz(path, path.stem)
    if path.is_symlink():
        raise DataError(f"{path} is a symbolic link that leads nowhere")
    raise UnknownDataError(
        f"No data set {short(name)}: expected {', '.join(NAMES)}, or the path of an .npz, of a "
        "folder with *_pics.blk and *_labels.blk, or of one with a folder of images for each class"
        f"{did_you_mean(name, NAMES)}"
    )


def is_local(name):
    """Whether a data set can be loaded by its name without the network."""
    cached = pathlib.Path(os.path.expanduser("~"), ".keras", "datasets", f"{name}.npz")
    return name == "digits" or _local(name) is not None or cached.exists()


def pack(data, folder):
    """Write a data set as `NAME_pics.blk` and `NAME_labels.blk`, train rows first.

    Parameters
    ----------
    data : Data
    folder : path

    Returns
    -------
    list of pathlib.Path
        The files: images `(N, H, W)`, or `(N, H, W, C)` with colours, `uint8`; labels one-hot
        `(N, classes)`, `uint8`.

    Raises
    ------
    DataError
        If they are more than a file or the memory can hold, or can't be written.
    """
    _check_packable(data)
    images = np.concatenate([data.train.images, data.test.images])
    labels = np.concatenate([data.train.labels, data.test.labels])
    if images.shape[-1] == 1:
        images = images[..., 0]
    paths = [pathlib.Path(folder) / f"{data.name}_{kind}.blk" for kind in ("pics", "labels")]
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        for path, array in zip(paths, (images, one_hot(labels, data.classes))):
            write_blk(path, array)
    except OSError as error:
        raise DataError(f"Can't write {paths[0]} and {paths[1].name}: {error.strerror}") from error
    return paths


def _check_packable(data):
    """Refuse what no .blk file can hold, or what has no room in memory while it is packed."""
    size = data.train.images.nbytes + data.test.images.nbytes
    # Both splits as one array, its pickle, and what is compressed of it.
    most = min(MOST_BYTES, free_memory() // 3)
    if size > most:
        raise DataError(
            f"{data.name} must be at most {most / 1e9:.1f} GB of images to be packed, for what a "
            f".blk file can hold and memory that is free. Received: {size / 1e9:.1f} GB"
        )


def _local(name):
    """The file of a data set in the folder that RESBATCH_DATA names; None if it is not there."""
    named = os.environ.get("RESBATCH_DATA")
    if not named:
        return None
    folder = pathlib.Path(os.path.expanduser(named))
    if not folder.is_dir():
        raise DataError(
            "The environment variable RESBATCH_DATA must name a folder with "
            f"{', '.join(f'{one}.npz' for one in NAMES[1:])} or some of them. Received: {named!r}"
        )
    path = folder / f"{name}.npz"
    return path if path.is_file() else None


@functools.lru_cache(maxsize=1)
def _digits():
    from scipy import ndimage
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = np.stack([_like_mnist(image, ndimage) for image in bunch.images])[..., np.newaxis]
    labels = bunch.target.astype(np.int64)
    parts = train_test_split(images, labels, test_size=450, stratify=labels, random_state=0)
    train_images, test_images, train_labels, test_labels = parts
    return Data("digits", 10, Split(train_images, train_labels), Split(test_images, test_labels))


def _like_mnist(image, ndimage):
    """An 8×8 digit of 0 … 16 in MNIST's form: its longer side 20 pixels, its mass centred."""
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    digit = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    digit = np.clip(ndimage.zoom(digit, 20 / max(digit.shape), order=1), 0, 16)
    canvas = np.zeros((28, 28))
    centre = ndimage.center_of_mass(digit)
    corners = [
        int(np.clip(round(13.5 - middle), 0, 28 - size))
        for middle, size in zip(centre, digit.shape)
    ]
    area = tuple(slice(corner, corner + size) for corner, size in zip(corners, digit.shape))
    canvas[area] = digit
    return np.round(canvas * (255 / 16)).astype(np.uint8)


def _from_keras(name):
    datasets = importlib.import_module(f"keras.datasets.{name}")
    try:
        (x_train, y_train), (x_test, y_test) = datasets.load_data()
    except Exception as error:  # whatever the download fails with
        raise DataError(
            f"{name} is not on this machine and could not be downloaded ({error}). Put {name}.npz "
            "(x_train, y_train, x_test, y_test) in a folder that RESBATCH_DATA names, or give its "
            "path."
        ) from error
    return _checked(name, f"keras.datasets.{name}", [(x_train, y_train), (x_test, y_test)])


def _from_npz(path, name):
    try:
        with open(path, "rb") as file:
            if file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX:
                raise DataError(f"{path} is no .npz archive: expected {', '.join(ARRAYS)}")
        with archives.opened(path) as archive:
            missing = [key for key in ARRAYS if f"{key}.npy" not in archive.namelist()]
        if missing:
            raise DataError(f"{path} lacks {', '.join(missing)}: expected {', '.join(ARRAYS)}")
        arrays = [*archives.read_arrays(path, ARRAYS).values()]
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"There is no file {path}") from None
    except (OSError, archives.ArchiveError) as error:
        raise DataError(
            f"{path} is no whole .npz of plain arrays: expected {', '.join(ARRAYS)} ({error})"
        ) from error
    return _checked(name, path, [arrays[:2], arrays[2:]])


def _from_folder(folder):
    pictures = sorted(folder.glob("*_pics.blk"))
    if len(pictures) != 1:
        raise DataError(
            f"{folder} must hold one *_pics.blk, or a folder of images for each class. "
            f"Received: {len(pictures)} *_pics.blk, no folder"
        )
    name = pictures[0].name.removesuffix("_pics.blk")
    paths = pictures[0], folder / f"{name}_labels.blk"
    (images, labels), checked = zip(*map(_read, paths))
    unchecked = [str(path) for path, known in zip(paths, checked) if not known]
    if unchecked:
        warn_unchecked(*unchecked)
    if images.ndim < 3 and images.size == len(labels) * 28 * 28:
        images = images.reshape(-1, 28, 28)
    train = len(labels) - len(labels) // 7
    pairs = (images[:train], labels[:train]), (images[train:], labels[train:])
    if len(images) != len(labels):
        raise DataError(
            f"{pictures[0]} holds {len(images)} images, but there are {len(labels)} labels"
        )
    return _checked(name, folder, pairs)


def _read(path):
    """The array in a .blk file, and whether it has a checksum."""
    try:
        array, checked = read_checked(path)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}") from None
    except (BlkError, OSError) as error:
        raise DataError(
            f"{path} is no plain numeric array packed with blosc.pack_array: {error}"
        ) from error
    return np.atleast_1d(array), checked


def _checked(name, where, pairs):
    """Data from images and labels for training and testing, or a DataError that says `where`."""
    try:
        return Data.of(*pairs[0], *pairs[1], name=name)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
