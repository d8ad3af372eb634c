import importlib.util
import pathlib

import numpy as np
import pytest

from research.cli import main

path = pathlib.Path(__file__).with_name("small_networks.py")
spec = importlib.util.spec_from_file_location("small_networks", path)
small = importlib.util.module_from_spec(spec)
spec.loader.exec_module(small)


@pytest.fixture
def small_networks(monkeypatch):
    """What trains the small ResNet trains a smaller network."""
    small.use(monkeypatch)


@pytest.fixture(scope="module")
def module_of_small_networks():
    """The same for all tests of a module."""
    with pytest.MonkeyPatch.context() as patched:
        small.use(patched)
        yield


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    """A folder that `resbatch compare` wrote, with the usual methods."""
    out = tmp_path_factory.mktemp("cli") / "compared"
    arguments = ["--iterations", "4", "--batch-size", "40", "--seeds", "2", "--out", str(out)]
    assert main(["compare", *arguments]) == 0
    return out


@pytest.fixture
def colours(tmp_path):
    """The path of 60 small colour images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(60) % 3
    path = tmp_path / "colours.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    return str(path)


@pytest.fixture
def fails(capsys):
    """A function: the one line on standard error of a command that fails with a status."""

    def last_line(status, *arguments):
        capsys.readouterr()
        try:
            ended = main(list(arguments))
        except SystemExit as stopped:
            ended = stopped.code
        assert ended == status
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("resbatch")
        return lines[0]

    return last_line
