"""Runs on images in mapped files are those on images in memory."""

import dataclasses
import hashlib

import numpy as np
import pytest

from batch.data import mapped
from batch.data.data import Data, Split
from batch.data.mapped import mapping_of
from research.commands import dry_run
from research.experiments import splits
from research.experiments.experiment import Experiment
from research.running.run import Run


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Data in memory, and the same in mapped files; memory holds no array well."""
    monkeypatch.setattr(mapped, "free_memory", lambda: 100)
    monkeypatch.setattr(mapped, "PART", 1000)
    images = np.random.default_rng(0).integers(0, 256, (66, 8, 8, 3)).astype(np.uint8)
    labels, parts = np.arange(66) % 3, {"train": slice(45), "test": slice(45, None)}
    held = {kind: Split(images[rows], labels[rows]) for kind, rows in parts.items()}
    lying = {}
    for kind, split in held.items():
        np.save(tmp_path / f"{kind}.npy", split.images)
        lying[kind] = Split(np.load(tmp_path / f"{kind}.npy", mmap_mode="r"), split.labels)
    return Data("own", 3, **held), Data("own", 3, **lying)


def test_what_is_held_out_stays_in_the_file(both, monkeypatch):
    monkeypatch.setattr(splits, "HELD_OUT", 15)
    held, lying = map(splits.hold_out, both)
    for kind in ("train", "test"):
        mine, other = getattr(held, kind), getattr(lying, kind)
        np.testing.assert_array_equal(mine.images, other.images)
        np.testing.assert_array_equal(mine.labels, other.labels)
        assert mine.images.base is None
        assert mapping_of(other.images) is not None


def test_a_run_has_the_same_identity(both):
    experiment = Experiment(iterations=4, batch_size=15, normalize=True, cache="off")
    held, lying = (Run(experiment, data).identity for data in both)
    assert held == lying
    assert held["train_sha256"] == sha256(both[0].train.images, both[0].train.labels)


def sha256(*arrays):
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_a_dry_run_counts_images_in_memory_alone(both):
    costs = [dataclasses.make_dataclass("Cost", ["held", "parameters"])(1, 1)]
    taken = [dry_run._memory(Experiment(), costs, data) for data in both]
    assert taken[0] - taken[1] == 2 * 66 * 8 * 8 * 3
