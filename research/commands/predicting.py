"""What a trained network says of image files."""

import pathlib

import numpy as np

from batch.checks import instance, received, sequence_of, whole
from batch.data.image_file import ImageError, decoded, look
from research.storage.recorded import read_record
from research.storage.results import ResultsError

LIKELIEST = 3  # classes that are named of each image


def predictions(folder, paths):
    """A line for each image: the likeliest classes and their probabilities.

    Parameters
    ----------
    folder : path
        Of `resbatch train`. Images come to the size of those that it was trained on, as those of a
        folder of images do.
    paths : sequence of path

    Returns
    -------
    list of str

    Raises
    ------
    ResultsError
        If the folder has no trained network.
    ValueError
        If a file is no image that can be used.
    """
    folder = pathlib.Path(folder)
    trained = _trained(folder)
    height, width, channels = trained["shape"]
    images = np.stack([_image(path, (height, width), channels) for path in paths])
    from batch import TFModel

    names = trained["classes"]
    inputs = {"images": {"shape": (height, width, channels)}, "labels": {"classes": len(names)}}
    network = {"network": str(folder / trained["weights"]), "inputs": inputs}
    model = TFModel({**network, "normalize": trained["normalize"]})
    probabilities = model.predict(images, fetches="output_prob")
    return [f"{path}: {_said(each, names)}" for path, each in zip(paths, probabilities)]


def _trained(folder):
    """What `experiment.json` says of the network in a folder."""
    try:
        trained = instance("network", read_record(folder)["network"], dict, "a dict")
        height, width, channels = (whole("shape", size, 1) for size in trained["shape"])
        if pathlib.Path(trained["weights"]).name != trained["weights"]:
            raise ValueError(f"weights must be a file in it. {received(trained['weights'])}")
        names = sequence_of("classes", trained["classes"], str, "texts")
        return {**trained, "shape": (height, width, channels), "classes": names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(
            f"{folder} must be a folder of resbatch train, with the network that it trained: "
            f"{type(error).__name__}: {error}"
        ) from error


def _image(path, size, channels):
    """The pixels of an image file, at a size."""
    if channels not in (1, 3):
        raise ValueError(f"The network must take grey or colour images. {received(channels)}")
    try:
        look(path)
        return decoded(path, size, colour=channels == 3)
    except ImageError as error:
        raise ValueError(f"{path} {error}") from error


def _said(probabilities, names):
    """The likeliest classes in words."""
    likeliest = np.argsort(-probabilities, kind="stable")[:LIKELIEST]
    return ", ".join(f"{names[label]} {100 * probabilities[label]:.1f} %" for label in likeliest)
