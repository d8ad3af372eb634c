"""A model in one file: its network, the slots of its optimizers, its iteration, its config."""

import json
import os
import tempfile
import zipfile

import keras
import numpy as np

from batch.schedules import observes


def write_model(path, network, trainer, config, optimizer):
    """Write a model; the file appears whole or not at all.

    Parameters
    ----------
    path : path
    network : keras.Sequential
    trainer : Trainer
    config : dict
        Entries that JSON can't hold are left out, and their keys noted.
    optimizer : keras.optimizers.Optimizer
        The one that the blocks' optimizers are copies of.
    """
    target = os.path.abspath(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    plain = {key: value for key, value in config.items() if _is_plain(value)}
    record = {
        "config": plain,
        "left_out": sorted(set(config) - set(plain) - {"network", "optimizer"}),
        "own_network": "network" in config,
        "optimizer": keras.optimizers.serialize(optimizer),
    }
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        saved, state, whole = (
            os.path.join(folder, name) for name in ("network.keras", "state.npz", "whole")
        )
        network.save(saved)
        np.savez(state, **_state(trainer))
        with zipfile.ZipFile(whole, "w") as archive:
            archive.write(saved, "network.keras")
            archive.write(state, "state.npz")
            archive.writestr("config.json", _to_json(record))
        os.replace(whole, target)


def read_model(path):
    """What `write_model` wrote.

    Returns
    -------
    network : keras.Sequential
    config : dict
        With the optimizer made again, and the network's layers if they were the user's own.
    left_out : list of str
        Keys of the config whose values could not be saved.
    state : dict of ndarray
        For `restore`.

    Raises
    ------
    ValueError
        If the file is not one of ours, or not whole.
    """
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            record = json.loads(archive.read("config.json"))
            optimizer = keras.optimizers.deserialize(record["optimizer"])
            network = keras.saving.load_model(archive.extract("network.keras", folder))
            with np.load(archive.extract("state.npz", folder), allow_pickle=False) as state:
                config = {**record["config"], "optimizer": optimizer}
                if record["own_network"]:
                    config["network"] = network.layers
                return network, config, record["left_out"], dict(state)
    except (OSError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no model that TFModel.save wrote: {error}") from error


def restore(trainer, state, changed=()):
    """Give a trainer the slots and the iteration of a file; its network has the weights already.

    Parameters
    ----------
    trainer : Trainer
    state : dict of ndarray
        From `read_model`.
    changed : collection of int
        Blocks that are frozen otherwise than they were: their slots begin anew.

    Raises
    ------
    ValueError
        If the slots belong to another optimizer.
    """
    if "run" not in state:
        raise ValueError("The file was written by an earlier version of this package.")
    anew = tuple(f"{block}/" for block in changed)
    variables, kept = (
        {name: value for name, value in values.items() if not name.startswith(anew)}
        for values in (_variables(trainer), state)
    )
    if set(variables) | {"run"} != set(kept):
        raise ValueError(
            f"The file holds slots of another optimizer than {type(trainer.optimizers[0]).__name__}"
        )
    for name, variable in variables.items():
        variable.assign(kept[name])
    run = json.loads(str(state["run"]))
    trainer.iteration, trainer.frozen = run["iteration"], run["frozen"]
    if observes(trainer.schedule) and type(trainer.schedule).__name__ == run["rule"]:
        trainer.schedule.set_state(run["state"])


def _state(trainer):
    """What `restore` takes: arrays, and the rest as JSON."""
    run = {"iteration": trainer.iteration, "frozen": trainer.frozen, "rule": None}
    if observes(trainer.schedule):
        run["rule"], run["state"] = type(trainer.schedule).__name__, trainer.schedule.get_state()
    slots = {name: variable.numpy() for name, variable in _variables(trainer).items()}
    return {"run": np.array(_to_json(run)), **slots}


def _variables(trainer):
    """What is not in the file of the network: optimizers' slots, and states of Keras' dropout."""
    network = trainer.network
    saved = {id(variable) for variable in network.weights}
    random = [variable for variable in network.variables if id(variable) not in saved]
    slots = {
        f"{block}/{slot}": variable
        for block, optimizer in enumerate(trainer.optimizers)
        for slot, variable in enumerate(optimizer.variables)
    }
    return {**slots, **{f"random/{place}": variable for place, variable in enumerate(random)}}


def _is_plain(value):
    try:
        _to_json(value)
    except TypeError:
        return False
    return True


def _to_json(value):
    """JSON, with NumPy's numbers and types as plain ones."""

    def plain(other):
        if isinstance(other, np.generic):
            return other.item()
        if isinstance(other, np.dtype) or (
            isinstance(other, type) and issubclass(other, np.generic)
        ):
            return np.dtype(other).name
        raise TypeError(f"No JSON for {type(other).__name__}")

    return json.dumps(value, default=plain)
