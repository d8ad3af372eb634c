import contextlib
import gc
import importlib.util
import json
import logging
import os
import pathlib
import socket
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from batch import AutoFreeze
from batch.runtime import import_tensorflow
from research import environment


def pytest_sessionstart(session):
    """Import TensorFlow quietly, and with oneDNN, before a test does; not where none will run."""
    if getattr(session.config.option, "dist", "no") == "no":  # with xdist, in its workers alone
        import_tensorflow()


@pytest.fixture
def caplog(caplog, monkeypatch):
    """What our code logs; TensorFlow's own warnings depend on which tests ran before."""
    monkeypatch.setattr(logging.getLogger("tensorflow"), "disabled", True)
    return caplog


@pytest.fixture(autouse=True)
def nothing_compiles_on():
    """No step is compiled ahead into the next test, which may count the operations that run."""
    yield
    compile_ahead = sys.modules.get("batch.training.compile_ahead")
    if compile_ahead:
        compile_ahead.CompileAhead._worker.submit(int).result()


def pytest_collection_finish():
    """The garbage collector leaves alone what is imported by now: TensorFlow's million objects."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """The notebooks first: they take longest, and no process is to wait for one at the end."""
    items.sort(key=lambda item: "test_notebooks" not in item.nodeid)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """The current folder, for modules of a user's own, which are forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", None)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def drawn():
    """The examples, for fixtures that tests share."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    labels[:3] = [0, 1, 2]
    images = rng.integers(0, 80, (60, 8, 8, 1)) + 80 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


@pytest.fixture
def examples(drawn):
    """60 images of 8×8, whose class shows in their brightness."""
    return tuple(array.copy() for array in drawn)


@pytest.fixture(scope="session")
def blocks():
    """A function that makes the layers of a network of three blocks and a classifier."""
    from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock

    def make(seed=0):
        return [
            ConvolutionBlock(4, kernel_size=3, strides=1, pool_size=2, seed=seed),
            ResidualBlock([4, 8], seed=seed + 10),
            ResidualBlock([4, 8], seed=seed + 20),
            Classifier(3, seed=seed + 30),
        ]

    return make


@pytest.fixture(scope="session")
def programs():
    """The module `torch_programs` of the networks; tests that need PyTorch are skipped without."""
    pytest.importorskip("torch")
    path = pathlib.Path(__file__).parent / "batch" / "networks" / "torch_programs.py"
    spec = importlib.util.spec_from_file_location("torch_programs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def real_data():
    """The folder with mnist.npz and cifar10.npz, if there is such a folder."""
    folder = os.environ.get("RESBATCH_DATA")
    if not folder or not pathlib.Path(folder, "mnist.npz").is_file():
        pytest.skip("RESBATCH_DATA names no folder with mnist.npz")
    return pathlib.Path(folder)


@pytest.fixture
def bits_in_any_place():
    """For tests that need equal bits for an image in any place of its batch.

    Without oneDNN and AVX-512, the last bits depend on the place.
    """
    without = os.environ["TF_ENABLE_ONEDNN_OPTS"].lower() in ("0", "false")
    if without and "avx512bw" not in environment.processor_flags():
        pytest.skip("without oneDNN and AVX-512, bits depend on the place in the batch")


@pytest.fixture
def settled_first_block(monkeypatch):
    """AutoFreeze freezes just the first block: the gradients of all others are made to grow."""
    observe = AutoFreeze.observe

    def observe_growth(self, iteration, norms):
        growth = np.where(np.arange(self.blocks) == 0, 1.0, 1e3**iteration)
        observe(self, iteration, growth * norms)

    monkeypatch.setattr(AutoFreeze, "observe", observe_growth)


@pytest.fixture(scope="session")
def mirrored(tmp_path_factory):
    """The folder in which `devices/mirrored.py` has trained on two logical devices, and alone."""
    folder = tmp_path_factory.mktemp("mirrored")
    process = _started("mirrored.py", folder)
    assert process.wait(timeout=300) == 0, (folder / "log").read_text()[-3000:]
    return folder


@pytest.fixture(scope="session")
def workers(tmp_path_factory):
    """The folder in which two processes `devices/worker.py` have trained together, and alone."""
    folder = tmp_path_factory.mktemp("workers")
    cluster = {"worker": [f"localhost:{port}" for port in _free_ports(2)]}
    tasks = [{"type": "worker", "index": number} for number in range(2)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    processes = [
        _started("worker.py", folder, f"log{number}", TF_CONFIG=config)
        for number, config in enumerate(configs)
    ]
    try:
        for number, process in enumerate(processes):
            assert process.wait(timeout=300) == 0, (folder / f"log{number}").read_text()[-3000:]
    finally:
        for process in processes:
            process.kill()
    return folder


def _started(program, folder, log="log", **environment):
    """A program of `devices`, started as a process of its own that writes to a folder."""
    program = pathlib.Path(__file__).parent / "devices" / program
    root = str(program.parents[2])
    with open(folder / log, "w", encoding="utf-8") as file:
        return subprocess.Popen(
            [sys.executable, program, str(folder)],
            env={**os.environ, "PYTHONPATH": root, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def _free_ports(count):
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
