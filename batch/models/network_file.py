"""A network in a file: Keras' own, and beside it what that lacks, with outputs to check it by."""

import json
import os
import tempfile
import warnings
import zipfile

import keras
import numpy as np

from batch.networks import densenet, efficientnet, equality, wide_resnet  # noqa: F401 their layers
from batch.networks.layer_state import set_unsaved_state, unsaved_state

FILES = ("network.keras", "network.npz")


def write_network(network, folder):
    """Write a network to the files `FILES` in a folder."""
    saved, more = (os.path.join(folder, name) for name in FILES)
    write_keras_file(saved, network)
    inputs, outputs = equality.fitting_outputs(network)
    check = {} if outputs is None else {"check/inputs": inputs, "check/outputs": outputs}
    state = {f"state/{name}": value for name, value in unsaved_state(network).items()}
    np.savez_compressed(more, **check, **state)


def read_network(archive, classes=None):
    """Read a network that `write_network` wrote.

    Parameters
    ----------
    archive : zipfile.ZipFile
        With its files; those of earlier versions have Keras' alone.
    classes : dict, optional
        The user's own classes and functions by name, as from `own_classes`.

    Raises
    ------
    ValueError
        If Keras can't read it, or its outputs are not those of the network that was saved.
    """
    saved, more = FILES
    with tempfile.TemporaryDirectory() as folder:
        network = read_keras_file(archive.extract(saved, folder), classes, archive.filename)
        if more in archive.namelist():
            with np.load(archive.extract(more, folder), allow_pickle=False) as state:
                set_unsaved_state(network, _part(state, "state/"))
                if (off := _off(network, **_part(state, "check/"))) > 0:
                    raise ValueError(
                        f"The network in {archive.filename} computes something else than the one "
                        f"that was saved, off by {off:.2g} of its outputs' norm: one of its layers "
                        "does not save all of its state."
                    )
    return network


def _part(state, start):
    return {name.removeprefix(start): state[name] for name in state if name.startswith(start)}


def _off(network, inputs=None, outputs=None):
    """How far its outputs are off those that were saved; 0 as far as machines may differ."""
    if inputs is None:
        return 0.0
    try:
        off = equality.difference(equality.outputs(network, inputs), outputs)
    except ValueError:
        return np.inf
    dtypes = {part.compute_dtype for part in network._flatten_layers()}  # noqa: SLF001
    coarse = bool(dtypes & {"bfloat16", "float16"})
    return off if off > (equality.BFLOAT16 if coarse else equality.MACHINES) else 0.0


def write_keras_file(path, network):
    """Write a network for Keras to load, even where deprecation warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras converts weights in an old way
        network.save(path)


def read_keras_file(path, classes=None, name=None):
    """Read a file that Keras wrote; where it can't be read, one sentence says why.

    Parameters
    ----------
    path : path
    classes : dict, optional
        As for `read_network`.
    name : str, optional
        Of the file, for the message.

    Raises
    ------
    ValueError
        If Keras can't read it.
    """
    try:
        return keras.saving.load_model(path, custom_objects=classes)
    except (TypeError, ValueError, AttributeError) as error:
        unknown = sorted(_unknown(path, classes or {}))
        reason = f"Keras says: {str(error).strip().splitlines()[0]}"
        if unknown:
            reason = (
                f"Keras doesn't know {' and '.join(unknown)}. Import what defines it, with "
                "@keras.saving.register_keras_serializable(), or give the layers as 'network'"
            )
        raise ValueError(f"The network in {name or path} can't be read. {reason}") from error


def _unknown(path, classes):
    """Names of the classes and functions in a file that Keras can't find."""
    with zipfile.ZipFile(path) as archive:
        waiting, unknown = [json.loads(archive.read("config.json"))], set()
    while waiting:
        config = waiting.pop()
        waiting += config.values() if isinstance(config, dict) else config
        waiting = [part for part in waiting if isinstance(part, (dict, list))]
        if isinstance(config, dict) and "registered_name" in config:
            name = config["registered_name"]
            name = config["config"] if name == "function" else name
            theirs = (config.get("module") or "").startswith("keras")
            if name and not theirs and not keras.saving.get_registered_object(name, classes):
                unknown.add(name)
    return unknown
