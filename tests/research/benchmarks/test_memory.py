import contextlib
import importlib.util

import numpy as np
import pandas as pd
import pytest

from research.benchmarks import memory, memory_versions
from research.benchmarks.harness import COLUMNS

TORCH = importlib.util.find_spec("torch")


@pytest.fixture
def taking(monkeypatch):
    """Versions that take 100 MB, 2 kB an image and 3 MB a block; what was asked for is noted."""
    noted = []

    def begin(make, arguments, environment):
        noted.append((make.split(":")[1], arguments["version"]))
        taken = 7.0
        if "examples" in arguments:
            taken = 100 + arguments["examples"] * 2 / 1024 + 3 * arguments["blocks"]
        return contextlib.nullcontext(lambda: taken)

    monkeypatch.setattr(memory, "Process", begin)
    return noted


def table(quick=False):
    rows = [row for part in memory.parts(quick) for row in part.rows(2, 300)]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_rows_of_the_memory_suite(taking):
    rows = table()
    ours = rows.groupby("what", sort=False)["ours"].first()
    assert ours.tolist() == ["123.7", "2", "3", "7"]
    assert rows.groupby("what", sort=False)["unit"].first().tolist() == ["MB", "kB", "MB", "MB"]
    assert rows["what"].iloc[-1] == "models 11 to 60, made, trained and dropped"
    assert rows["peer"].iloc[-2] == "stock Keras, fit"
    assert set(rows["ratio"]) <= {"1.000", "" if TORCH is None else "1.000"}
    assert taking.count(("peak", "ours")) == 6
    assert taking.count(("left", "ours")) == 1


def test_quick_is_one_run_of_each(taking):
    assert len(table(quick=True)["what"].unique()) == 3
    assert taking.count(("peak", "ours")) == 3


def test_without_pytorch_its_rows_say_so(taking, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    peers = table(quick=True)["peer"]
    assert peers.unique().tolist() == [
        "stock Keras, fit",
        "PyTorch, eager, channels_last: not installed",
    ]


@pytest.mark.parametrize("version", ["ours", "stock", "torch"])
def test_every_version_trains(version, monkeypatch):
    if version == "torch":
        pytest.importorskip("torch")
    monkeypatch.setattr(memory_versions, "STEPS", 2)
    found = memory_versions.peak(version, examples=8, blocks=2, batch_size=4)()
    assert np.isfinite(found)
    assert found > -1  # megabyte: in a process that had more before, nothing but the kernel's delay


@pytest.mark.parametrize("version", ["ours", "stock"])
def test_models_are_made_and_dropped(version, monkeypatch):
    trained, train = [], memory_versions.VERSIONS[version]()

    def counting():
        return lambda blocks, *rest: (trained.append(blocks), train(2, *rest))

    monkeypatch.setitem(memory_versions.VERSIONS, version, counting)
    assert np.isfinite(memory_versions.left(version, count=3, first=2)())
    assert trained == [4] * 3
