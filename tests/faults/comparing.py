"""What the folders of two runs of the same command differ in: bit by bit, but for seconds."""

import io
import json
import re
import zipfile

import h5py
import numpy as np
import pandas as pd

TIMES = re.compile("seconds|^time_")  # names of columns and of values
RUN = ("method", "seed", "accuracy", "mistakes", "target")  # of a record, but for the cache


def differences(folder, whole):
    """Names of what is not the same in two folders, and of files that only one has.

    Which checkpoints there are depends on when there were signals; the last one is there.
    """
    ours, theirs = (
        {str(path.relative_to(each)) for path in each.rglob("*") if path.is_file()}
        for each in (folder, whole)
    )
    alone = [name for name in sorted(ours ^ theirs) if not name.startswith("checkpoints/")]
    both = sorted(ours & theirs)
    return alone + [name for name in both if _differ(folder / name, whole / name)]


def _differ(path, other):
    read = READERS.get(path.name, READERS.get(path.suffix))
    return read is not None and not _same(read(path), read(other))


def _same(value, other):
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(_same(value[k], other[k]) for k in value)
    if isinstance(value, np.ndarray):
        return value.dtype == other.dtype and value.tobytes() == other.tobytes()
    return value == other


def _table(path):
    table = pd.read_csv(path, dtype=str)
    return table.drop(columns=[name for name in table if TIMES.search(name)]).to_csv()


def _record(path):
    record = json.loads(path.read_text(encoding="utf-8"), object_hook=_without_times)
    record["runs"] = [{name: run.get(name) for name in RUN} for run in record["runs"]]
    for settings in (record["settings"], *record.get("in_force", {}).values()):
        if isinstance(settings.get("cache"), int):  # half of what memory was free
            del settings["cache"]
    return record


def _without_times(values):
    return {name: value for name, value in values.items() if not TIMES.search(name)}


def _metrics(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, object_hook=_without_times) for line in lines]


def _network(file):
    with zipfile.ZipFile(file) as archive:
        weights = {}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as stored:
            stored.visititems(
                lambda name, item: (
                    weights.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                )
            )
        config = json.loads(archive.read("config.json"), object_hook=_without_addresses)
        return {"config": config, **weights}


def _without_addresses(described):
    """What Keras says of an object, but for where in memory it was."""
    described.pop("shared_object_id", None)
    return described


def _model(path):
    with zipfile.ZipFile(path) as archive:
        with np.load(io.BytesIO(archive.read("state.npz"))) as state:
            slots = dict(state)
        return {"network": _network(io.BytesIO(archive.read("network.keras"))), "slots": slots}


READERS = {
    "checkpoint.json": None,  # digests of files with times in them
    "experiment.json": _record,
    "model": _model,
    ".csv": _table,
    ".jsonl": _metrics,
    ".keras": _network,
}
