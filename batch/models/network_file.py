"""A network in a file: Keras' own, and beside it what that lacks, with outputs to check it by."""

import os
import warnings

import keras
import numpy as np

from batch import archives
from batch.models.keras_file import check_keras_file, check_work
from batch.networks import densenet, efficientnet, equality, wide_resnet  # noqa: F401 their layers
from batch.networks.layer_state import set_unsaved_state, unsaved_state
from batch.shown import first_line

FILES = ("network.keras", "network.npz")


def write_network(network, folder):
    """Write a network to the files `FILES` in a folder."""
    saved, more = (os.path.join(folder, name) for name in FILES)
    write_keras_file(saved, network)
    inputs, outputs = equality.fitting_outputs(network)
    check = {} if outputs is None else {"check/inputs": inputs, "check/outputs": outputs}
    state = {f"state/{name}": value for name, value in unsaved_state(network).items()}
    np.savez_compressed(more, **check, **state)


def read_network(folder, name, classes=None):
    """Read a network that `write_network` wrote.

    Parameters
    ----------
    folder : path
        With its files; those of earlier versions have Keras' alone.
    name : str
        What they are of, for messages.
    classes : dict, optional
        The user's own classes and functions by name, as from `own_classes`.

    Raises
    ------
    ValueError
        If Keras can't read it, or its outputs are not those of the network that was saved.
    """
    saved, more = (os.path.join(folder, file) for file in FILES)
    network = read_keras_file(saved, classes, name)
    if not os.path.exists(more):
        return network
    state = archives.read_arrays(more)
    try:
        set_unsaved_state(network, _part(state, "state/"))
    except Exception as error:  # whatever arrays of another network fail with
        raise ValueError(
            f"{name} holds the state of another network ({first_line(error)})"
        ) from error
    if (off := _off(network, state.get("check/inputs"), state.get("check/outputs"))) > 0:
        raise ValueError(
            f"The network in {name} computes something else than the one that was saved, off by "
            f"{off:.2g} of its outputs' norm: one of its layers does not save all of its state."
        )
    return network


def _part(state, start):
    return {name.removeprefix(start): state[name] for name in state if name.startswith(start)}


def _off(network, inputs, outputs):
    """How far its outputs are off those that were saved; 0 as far as machines may differ."""
    if inputs is None or outputs is None:
        return 0.0
    check_work(network, inputs)
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
    refused = f"The network in {name or path} can't be read."
    try:
        check_keras_file(path, classes)
        return keras.saving.load_model(path, custom_objects=classes, compile=False)
    except archives.ArchiveError as error:
        raise ValueError(f"{refused} {str(error)[0].upper()}{str(error)[1:]}") from error
    except Exception as error:  # whatever Keras and HDF5 fail with
        raise ValueError(f"{refused} Keras says: {first_line(error)}") from error
