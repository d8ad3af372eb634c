import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

PACKAGES = ("batch", "utils", "research")
LIGHT = [
    "from utils import load_data, Data, DataError, History",
    "from batch import FreezeOut",
    "from research import Method",
    "from research import Experiment",
    "from research import Method, Experiment, compare",
    "import resbatch; resbatch.__version__",
    "from batch.data.blk import read_blk",
]


def run(code, folder=None):
    """What a fresh process says when it runs some code: status, output, errors."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_stubs_name_what_is_there(name):
    package = importlib.import_module(name)
    stub = ast.parse(pathlib.Path(package.__file__).with_suffix(".pyi").read_text())
    (listed,) = (
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    assert sorted(package.__all__) == sorted(listed)
    for public in listed:
        assert getattr(package, public).__name__ == public
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing()
    assert pathlib.Path(package.__file__).with_name("py.typed").exists()


def test_one_name_for_all():
    import resbatch

    names = {name for package in PACKAGES for name in importlib.import_module(package).__all__}
    assert names < set(dir(resbatch))
    assert resbatch.FreezeOut.__name__ == "FreezeOut"
    assert resbatch.load_data.__name__ == "load_data"
    with pytest.raises(AttributeError, match="resbatch has no nothing"):
        resbatch.nothing()


@pytest.mark.parametrize("code", LIGHT)
def test_what_trains_nothing_starts_no_tensorflow(code):
    assert run(f"{code}\nimport sys\nprint('tensorflow' in sys.modules)") == (0, "False\n", "")


@pytest.mark.parametrize("code", ["import batch", "from batch import ResBatch, TFModel"])
def test_import_says_nothing(code):
    assert run(code) == (0, "", "")


@pytest.mark.parametrize(
    "code",
    ["from batch import ax_draw", "from research import compare", "import research.page.report"],
)
def test_a_stranger_called_utils_is_named(tmp_path, code):
    (tmp_path / "utils.py").write_text("")
    status, _, errors = run(code, tmp_path)
    assert status == 1
    assert f"ImportError: ResBatch needs its own package 'utils', but Python found {tmp_path}" in (
        errors
    )


def test_a_stranger_called_utils_does_no_harm_to_a_pipeline(tmp_path):
    (tmp_path / "utils.py").write_text("mine = 1")
    code = """
from batch import ResBatch, openset
import utils
losses = []
pipeline = openset("digits").train.p.train_res(losses)
pipeline.next_batch(10)
print(len(losses), utils.mine)
"""
    assert run(code, tmp_path) == (0, "1 1\n", "")
