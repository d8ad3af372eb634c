"""The `inputs` of a model's config: shape, classes, and the names of images and labels."""

import dataclasses
import numbers

import numpy as np

from batch.checks import received
from batch.networks.entrance import ANY, Entrance

KEYS = ("shape", "classes", "transform", "dtype", "name")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Shape, classes and names of what a model takes.

    Attributes
    ----------
    shape : tuple of three ints, or one
        (H, W, C) of the images; (L,) of rows of words or features.
    classes : int
        Number of classes.
    one_hot : bool
        Whether a loss of the user's own gets one-hot rows in place of class numbers.
    images, labels : tuple of str
        Names by which a feed may give them. Messages use the first.
    entrance : Entrance
        What the network does to the scale of images.
    """

    shape: tuple
    classes: int
    one_hot: bool
    images: tuple
    labels: tuple
    entrance: Entrance = ANY


def read_inputs(inputs, input_block=None):
    """Read the `inputs` of a config, `{name: {'shape': …}, name: {'classes': …}}`.

    Parameters
    ----------
    inputs : dict
        As in BatchFlow's TensorFlow models: `classes` is a number or a list of names, `transform`
        is 'ohe' or absent, `name` is another name for feeds. `dtype` is only checked.
    input_block : dict, optional
        `{'inputs': name}` says which of several inputs are the images.

    Raises
    ------
    ValueError
        If there is no shape or no number of classes, or a key or value is not known.
    """
    if not isinstance(inputs, (dict, type(None))):
        raise TypeError(f"inputs must be a dict. {received(inputs)}")
    if not isinstance(input_block, (dict, type(None))):
        raise TypeError(f"input_block must be {{'inputs': name}}. {received(input_block)}")
    entries = {name: _entry(name, entry) for name, entry in (inputs or {}).items()}
    wanted = (input_block or {}).get("inputs")
    images = [name for name in entries if "shape" in entries[name] and wanted in (None, name)]
    labels = [name for name in entries if "classes" in entries[name]]
    if wanted is not None and not images:
        raise ValueError(
            f"'input_block/inputs' must name an input with a shape. {received(wanted)}, but "
            f"'inputs' has {', '.join(entries) or 'none'}"
        )
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            "'inputs' must give one shape and the classes, as in {'images': {'shape': (28, 28, 1)},"
            f" 'labels': {{'classes': 10}}}}. {received(inputs)}"
        )
    image, label = entries[images[0]], entries[labels[0]]
    return Inputs(
        _shape(image["shape"]),
        class_count("'inputs'", label["classes"]),
        label.get("transform") == "ohe",
        _names("images", images[0], entries),
        _names("labels", labels[0] if labels != images else None, entries),
    )


def _entry(name, entry):
    if not isinstance(entry, dict):
        raise ValueError(f"inputs/{name} must be a dict with {', '.join(KEYS)}. {received(entry)}")
    transform = entry.get("transform")
    if not isinstance(transform, (str, type(None))) or transform not in (None, "ohe"):
        raise ValueError(f"transform must be 'ohe'. {received(transform)}")
    try:
        np.dtype(entry.get("dtype"))
    except TypeError:
        raise TypeError(
            f"inputs/{name}/dtype must be a type of NumPy's. {received(entry['dtype'])}"
        ) from None
    return entry


def _shape(shape):
    sizes = shape if isinstance(shape, (tuple, list)) else ()
    if len(sizes) not in (1, 2, 3) or not all(_is_whole(size) and size > 0 for size in sizes):
        raise ValueError(
            "'inputs' must give a shape (H, W) or (H, W, C), or (L,) of rows of words or features. "
            f"{received(shape)}"
        )
    sizes = tuple(int(size) for size in sizes)
    return (*sizes, 1) if len(sizes) == 2 else sizes


def class_count(given_by, classes):
    """A checked number of classes, from a number or from their names."""
    count = len(classes) if isinstance(classes, (list, tuple, np.ndarray)) else classes
    if not _is_whole(count) or count < 2:
        raise ValueError(
            f"{given_by} must give at least 2 classes, a number or names. {received(classes)}"
        )
    return int(count)


def _is_whole(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _names(usual, name, entries):
    """Names for a feed: the input's key, its other name, and the usual one if it is free."""
    names = [] if name is None else [name, *filter(None, [entries[name].get("name")])]
    taken = set(entries) - {name} if name is not None else set()
    return tuple(dict.fromkeys([*names, *({usual} - taken)]))
