import contextlib
import subprocess
import sys

import pytest
from tensorflow.python.framework import config

from batch import runtime


@pytest.mark.parametrize(("given", "value"), [(None, "1"), ("0", "0")])
def test_onednn_is_switched_on_before_tensorflow_starts_unless_it_was_set(
    tmp_path, monkeypatch, given, value
):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if given:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    # In TensorFlow's place, for what the variable says at that moment.
    stand_in = "import os\nprint(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))\nraise SystemExit"
    (tmp_path / "tensorflow.py").write_text(stand_in)
    command = [sys.executable, "-c", "from batch import TFModel"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{value}\n")


@pytest.mark.parametrize("before", [False, True])
def test_on_a_gpu_the_switch_of_determinism_comes_back(monkeypatch, before):
    monkeypatch.setattr(runtime, "_has_gpu", lambda: True)
    if before:
        config.enable_op_determinism()
    try:
        with contextlib.suppress(KeyError), runtime.deterministic_on_gpus():
            assert config.is_op_determinism_enabled()
            raise KeyError
        assert config.is_op_determinism_enabled() == before
    finally:
        config.disable_op_determinism()


def test_on_a_cpu_determinism_is_not_switched(monkeypatch):
    monkeypatch.setattr(runtime, "_has_gpu", lambda: False)
    with runtime.deterministic_on_gpus():
        assert not config.is_op_determinism_enabled()
