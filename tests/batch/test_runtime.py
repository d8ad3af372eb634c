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


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_keras_on_another_backend_is_refused(monkeypatch, backend):
    monkeypatch.setattr("keras.config.backend", lambda: backend)
    with pytest.raises(runtime.SettingsError, match=f"must be 'tensorflow'.*Received: '{backend}'"):
        runtime.import_tensorflow()


def test_a_keras_that_cannot_start_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(runtime.SettingsError, match=r"KERAS_BACKEND.* ModuleNotFoundError"):
        runtime.import_tensorflow()


@pytest.mark.parametrize(
    ("value", "threads"), [("3", 3), ("", None), ("x", None), ("0", None), ("-2", None)]
)
def test_threads_of_the_environment_are_those_in_force(monkeypatch, value, threads):
    monkeypatch.setattr(runtime, "processors", lambda: 77)
    monkeypatch.setattr("tensorflow.config.threading.get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", value)
    assert runtime.set_threads() == (threads or 77)


@pytest.mark.parametrize("closed", ["2>&-", "2>&- >&- <&-"])
def test_tensorflow_is_imported_without_standard_error(tmp_path, closed):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit(7)")  # it was reached
    command = f"{sys.executable} -c 'from batch import TFModel' {closed}"
    assert subprocess.run(command, shell=True, cwd=tmp_path).returncode == 7
