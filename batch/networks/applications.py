"""Pre-trained networks of `keras.applications`, cut into blocks, and what their images must be."""

import importlib
import inspect
import os
import pathlib
import warnings

import keras
import numpy as np

from batch.networks.keras_models import as_blocks, block_ends
from batch.runtime import own_numbers

ALIASES = {"mobilenetv3": "mobilenetv3large"}


class WeightsError(ImportError):
    """Weights that are not on this machine, and can't be downloaded."""


def application(name):
    """A network of `keras.applications` with ImageNet's weights.

    Parameters
    ----------
    name : str
        That of its function, in lower case, as resnet50; mobilenetv3 is the large one.

    Returns
    -------
    layers : list of keras.layers.Layer
        Its blocks, the pooling, and a new classifier.
    normalize : dict
        For the `normalize` of a model's config: what the network's own `preprocess_input` makes of
        images. Where that exchanges red and blue, so does the first convolution.

    Raises
    ------
    WeightsError
        If Keras can't download the weights; the message says where to put them.
    """
    make = functions()[ALIASES.get(name, name)]
    with own_numbers():
        model = _with_weights(make)
    blocks = as_blocks(model, block_ends(model))
    scale, offset, exchanged = _scaling(_module(make).preprocess_input)
    if exchanged:
        _exchange_channels(blocks)
    classifier = keras.layers.Dense(1000, name="classifier")
    normalize = {"mean": (-offset / scale / 255).tolist(), "std": (1 / (255 * scale)).tolist()}
    return [*blocks, classifier], normalize


def functions():
    """The functions of `keras.applications` that make networks, by their names in lower case."""
    public = vars(keras.applications)
    return {name.lower(): make for name, make in public.items() if inspect.isfunction(make)}


def _module(make):
    """The module of a function of `keras.applications`, with its `preprocess_input`."""
    return importlib.import_module(make.__module__)


def _with_weights(make):
    shape = (None, None, 3)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`input_shape` is undefined")  # so it is to be
            return make(weights="imagenet", include_top=False, pooling="avg", input_shape=shape)
    except Exception as error:  # whatever a download fails with
        url = next((word for word in str(error).split() if word.startswith("http")), "").rstrip(":")
        home = os.environ.get("KERAS_HOME") or pathlib.Path("~", ".keras").expanduser()
        raise WeightsError(
            f"The weights of {make.__name__} are not on this machine and could not be downloaded "
            f"({error}). Put {url.rpartition('/')[2] or 'their file'} in "
            f"{pathlib.Path(home, 'models')}; or go on without them: a base may be the file of a "
            "network of yours, or efficientnet-lite0, whose weights are a package"
        ) from error


def _scaling(preprocess):
    """What a `preprocess_input` makes of red, green and blue of 0 … 255: scale · pixel + offset.

    Returns
    -------
    scale, offset : ndarray, shape (3,)
        In the order red, green, blue.
    exchanged : bool
        Whether it gives blue, green, red.
    """
    black = np.zeros((1, 1, 1, 3), np.float32)
    colours = 255 * np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    offset = np.asarray(preprocess(black.copy()), np.float64).reshape(3)
    scales = np.asarray(preprocess(colours.copy()), np.float64).reshape(3, 3) - offset
    exchanged = abs(scales[0, 0]) < abs(scales[0, 2])
    if exchanged:
        scales, offset = scales[:, ::-1], offset[::-1]
    return np.diag(scales) / 255, offset, exchanged


def _exchange_channels(blocks):
    """Let the first convolution take red, green, blue where it took blue, green, red."""
    parts = [part for part in blocks[0]._flatten_layers() if part.weights]  # noqa: SLF001
    kernel = next(part for part in parts if isinstance(part, keras.layers.Conv2D)).kernel
    kernel.assign(kernel[:, :, ::-1])
