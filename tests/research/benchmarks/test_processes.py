import json

import numpy as np
import pytest

from research.benchmarks.processes import Process, ProcessError, environment, megabytes

TOY = """
import os, sys

def counting(start):
    print("said while it is made")
    calls = iter(range(start, 100))
    def call():
        print("said in a call")
        names = ("TF_ENABLE_ONEDNN_OPTS", "KERAS_BACKEND", "NPROC")
        return {"call": next(calls), **{name: os.environ.get(name) for name in names}}
    return call

def ending():
    def call():
        sys.exit("it can't be done")
    return call

def on_backend():
    import keras
    from research.benchmarks import finetune_keras, stock
    return lambda: [keras.backend.backend(), "tensorflow" in sys.modules]

def killed():
    os._exit(3)
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A module that processes find, whose functions make versions."""
    (tmp_path / "a_toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    return "a_toy"


@pytest.mark.parametrize("onednn", [None, "0", "1"])
def test_a_process_answers_in_its_own_environment(toy, onednn, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "given to us")
    with Process(f"{toy}:counting", {"start": 7}, environment(2, onednn, "jax")) as version:
        answers = [version(), version()]
    expected = {"TF_ENABLE_ONEDNN_OPTS": onednn, "KERAS_BACKEND": "jax", "NPROC": "2"}
    assert answers == [{"call": 7, **expected}, {"call": 8, **expected}]


def test_a_process_that_ends_says_why(toy):
    with (
        Process(f"{toy}:ending", {}, {}) as version,
        pytest.raises(ProcessError, match="a_toy:ending ended: it can't be done"),
    ):
        version()
    with pytest.raises(ProcessError, match="a_toy:killed ended: exit status 3"):
        Process(f"{toy}:killed", {}, {})


def test_keras_runs_on_jax_in_a_process(toy):
    pytest.importorskip("jax")
    with Process(f"{toy}:on_backend", {}, environment(1, backend="jax")) as version:
        assert version() == ["jax", False]


def test_numbers_keep_their_bits_on_the_way():
    losses = np.random.default_rng(0).random(20, np.float32).astype(float).tolist()
    assert json.loads(json.dumps(losses)) == losses


def test_memory_at_its_peak_is_no_less_than_now():
    assert not megabytes("VmHWM") < megabytes("VmRSS")
