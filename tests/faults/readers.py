"""A sample of every kind of file that is read, and its reader."""

import importlib.util
import pathlib
import shutil

import numpy as np
from PIL import Image

from batch import TFModel
from batch.data.checkpoint import CheckpointError, Checkpoints, read_checkpoint
from batch.data.history import History
from batch.data.image_file import decoded, look
from batch.models.network import read_layers
from batch.networks.state_dict import modules, read_state_dict
from research.benchmarks.record import Record
from research.storage import results
from utils import load_data

DOCUMENTED = (ValueError, TypeError, OSError, CheckpointError, results.ResultsError)
TORCH = importlib.util.find_spec("torch")
IDENTITY = {"options": "none", "processor": "any"}


def write_samples(folder):
    """Write a small file of every kind in `READERS` to a folder."""
    import keras

    folder = pathlib.Path(folder)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 8, 8, 1), np.uint8), np.arange(20) % 3
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(folder / "data.npz", **arrays)
    inputs = {"images": {"shape": (4,)}, "labels": {"classes": 3}}
    layers = [keras.layers.Dense(3, name="first"), keras.layers.Dense(3, name="last")]
    model = TFModel({"inputs": inputs, "network": layers, "optimizer": "Adam"})
    model.train(np.ones((6, 4), np.float32), np.arange(6) % 3)
    model.save(folder / "model")
    model.network.save(folder / "network.keras")
    history = History("classic", 0, [1.0, 0.5], [0.1, 0.1], [0, 0], accuracy=0.5)
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(model, history, {"seed": 0})
    shutil.move(folder / "checkpoints" / "00000001" / "checkpoint.json", folder / "checkpoint.json")
    settings = {"command": "train", "methods": ["classic"], "seeds": [0], "data": "digits"}
    more = {"methods": {}, "data": "20 images", "network": {"weights": "model.keras"}}
    results.save(folder, [history], settings, {"processor": "x"}, {"classic": 1.0}, **more)
    record = Record(folder, IDENTITY, ["processor"])
    record.add("step", "one", [("a",) * 9], 1.0, 1.0)
    for name in ("picture.png", "picture.jpg", "picture.gif"):
        Image.fromarray(images[0, ..., 0]).save(folder / name)
    if TORCH:
        import torch

        tensors = {"fc.weight": torch.ones(3, 4), "fc.bias": torch.ones(3)}
        torch.save(tensors, folder / "weights.pt")
        torch.save(tensors, folder / "old.pt", _use_new_zipfile_serialization=False)


def _checkpoint(path):
    folder = path.parent / "whole"
    shutil.copytree(path.parents[1] / "checkpoints" / "00000001", folder, dirs_exist_ok=True)
    shutil.copy(path, folder / "checkpoint.json")
    return read_checkpoint(folder)


def _results(path):
    from research.page.report import write_report

    folder = path.parent / "results"
    folder.mkdir(exist_ok=True)
    for name in ("results.csv", "experiment.json"):
        shutil.copy(path.parents[1] / name, folder / name)
    shutil.copy(path, folder / path.name)
    with results.drawing([folder]):
        write_report(folder, *results.read(folder))


def _bench(path):
    Record(path.parent, IDENTITY, ["processor"], resume=True)


def _picture(path):
    return look(path), decoded(path, (8, 8), colour=True)


READERS = {
    "data.npz": load_data,
    "model": lambda path: TFModel({"load": {"path": path}}),
    "network.keras": read_layers,
    "checkpoint.json": _checkpoint,
    "results.csv": _results,
    "experiment.json": _results,
    "bench.json": _bench,
    **dict.fromkeys(("picture.png", "picture.jpg", "picture.gif"), _picture),
    **(
        dict.fromkeys(("weights.pt", "old.pt"), lambda path: modules(read_state_dict(path)))
        if TORCH
        else {}
    ),
}
