"""A model in a file: its network, the slots of its optimizers, its iteration, its config."""

import json
import os
import tempfile
import zipfile

import numpy as np

from batch import archives, checks
from batch.files import from_json, replacing
from batch.models.network_file import FILES, read_network, write_network
from batch.schedules import observes
from batch.shown import first_line
from batch.training.optimizers import to_dict


def write_model(path, trainer, *, config, optimizer):
    """Write a model to a file, whole or not at all.

    Parameters
    ----------
    path : path
    trainer : Trainer
        With the network.
    config : dict
        Entries that JSON cannot hold are left out; the file has their keys.
    optimizer : keras.optimizers.Optimizer
        The blocks' optimizers are copies of it.
    """
    target = os.path.abspath(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    plain = {key: value for key, value in config.items() if _is_plain(value)}
    record = {
        "config": plain,
        "left_out": sorted(left_out(config)),
        "own_network": "network" in config,
        "optimizer": to_dict(optimizer),
    }
    with (
        replacing(target) as whole,
        tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder,
    ):
        state = os.path.join(folder, "state.npz")
        write_network(trainer.network, folder)
        np.savez(state, **state_of(trainer))
        with zipfile.ZipFile(whole, "w") as archive:
            for name in (*FILES, "state.npz"):
                archive.write(os.path.join(folder, name), name)
            archive.writestr("config.json", _to_json(record))


def left_out(config):
    """The entries of a config that no file of a model can hold."""
    held = ("network", "optimizer")
    return {key: value for key, value in config.items() if key not in held and not _is_plain(value)}


def read_model(path, classes=None):
    """Read a file that `write_model` wrote.

    Parameters
    ----------
    path : path
    classes : dict, optional
        The user's own classes of layers and functions by name, as from `own_classes`.

    Returns
    -------
    network : keras.Sequential
    config : dict
        With the optimizer, as `to_dict` describes it, and with the network's layers if they were
        the user's own.
    left_out : list of str
        Keys of the config whose values could not be saved.
    state : dict of ndarray
        For `restore`.

    Raises
    ------
    ValueError
        If the file is not one of ours, or not whole, or holds classes that are not known.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            record, state = _extracted(path, folder)
            network = read_network(folder, path, classes)
    except (OSError, archives.ArchiveError) as error:
        raise ValueError(f"{path} is no model that TFModel.save wrote: {error}") from error
    config = {**record["config"], "optimizer": record["optimizer"]}
    if record["own_network"]:
        config["network"] = network.layers
    return network, config, record["left_out"], state


def _extracted(path, folder):
    """The record and the state of a model from its file; the files of its network in a folder."""
    with archives.opened(path) as archive:
        record = _checked(from_json(archive.read("config.json")))
        for name in {*FILES, "state.npz"} & {*archive.namelist()}:
            archive.extract(name, folder)
    return record, archives.read_arrays(os.path.join(folder, "state.npz"))


def _checked(record):
    """The record of a model, if it is as `write_model` writes it."""
    checks.instance("its config.json", record, dict, "a dict")
    kinds = {"config": dict, "optimizer": dict, "left_out": list, "own_network": bool}
    for name, kind in kinds.items():
        checks.instance(f"{name} of its config.json", record[name], kind, f"a {kind.__name__}")
    elsewhere = {"network", "base", "load"} & {*record["config"]}
    if elsewhere or not all(isinstance(key, str) for key in record["left_out"]):
        raise ValueError("its config.json is not as TFModel.save writes it")
    return record


def restore(trainer, state, changed=()):
    """Set the slots and the iteration of a trainer from a file; the weights are there already.

    Parameters
    ----------
    trainer : Trainer
    state : dict of ndarray
        From `read_model`.
    changed : collection of int
        Blocks in which other layers are frozen now: their slots stay in their initial state.

    Raises
    ------
    ValueError
        If the slots belong to another optimizer.
    """
    if "run" not in state:
        raise ValueError("The file was written by an earlier version of this package.")
    left_out = tuple(f"{block}/" for block in changed)
    variables, saved = (
        {name: value for name, value in values.items() if not name.startswith(left_out)}
        for values in (_variables(trainer), state)
    )
    if set(variables) | {"run"} != set(saved):
        raise ValueError(
            f"The file holds slots of another optimizer than {type(trainer.optimizers[0]).__name__}"
        )
    run = _read_run(str(state["run"]))
    for name, variable in variables.items():
        value = saved[name]
        if value.shape != tuple(variable.shape) or value.dtype.kind not in "biuf":
            raise ValueError(
                f"The file holds {name} of shape {value.shape}, {value.dtype}, and the network "
                f"takes {tuple(variable.shape)}, {variable.dtype}"
            )
        variable.assign(value)
    trainer.iteration, trainer.frozen = run["iteration"], run["frozen"]
    if observes(trainer.schedule) and type(trainer.schedule).__name__ == run["rule"]:
        _set_schedule(trainer.schedule, run.get("state"))


def _read_run(text):
    """How far a trainer was, checked."""
    try:
        run = from_json(text)
        counts = {name: checks.whole(name, run[name]) for name in ("iteration", "frozen")}
        return {**run, **counts, "rule": run["rule"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"The file does not say how far its run was: {error}") from error


def _set_schedule(schedule, state):
    try:
        schedule.set_state(state)
    except Exception as error:  # of a schedule of anyone's
        raise ValueError(
            f"The file holds a state that {type(schedule).__name__} can't have: {first_line(error)}"
        ) from error


def state_of(trainer):
    """The state of a trainer for `restore`: arrays, and the rest as JSON."""
    run = {"iteration": trainer.iteration, "frozen": trainer.frozen, "rule": None}
    if observes(trainer.schedule):
        run["rule"], run["state"] = type(trainer.schedule).__name__, trainer.schedule.get_state()
    slots = {name: variable.numpy() for name, variable in _variables(trainer).items()}
    return {"run": np.array(_to_json(run)), **slots}


def _variables(trainer):
    """Variables that Keras' file of the network lacks: slots, and states of random generators."""
    network = trainer.network
    saved = {id(variable) for variable in network.weights}
    random = [variable for variable in network.variables if id(variable) not in saved]
    slots = {
        f"{block}/{slot}": variable
        for block, optimizer in enumerate(trainer.optimizers)
        for slot, variable in enumerate(optimizer.variables)
    }
    return {**slots, **{f"random/{number}": variable for number, variable in enumerate(random)}}


def _is_plain(value):
    try:
        _to_json(value)
    except TypeError:
        return False
    return True


def _to_json(value):
    """JSON, with NumPy's numbers as plain ones and its types as their names."""

    def plain(other):
        if isinstance(other, np.generic):
            return other.item()
        if isinstance(other, np.dtype) or (
            isinstance(other, type) and issubclass(other, np.generic)
        ):
            return np.dtype(other).name
        raise TypeError(f"No JSON for {type(other).__name__}")

    return json.dumps(value, default=plain)
