import json

import keras
import pytest
import tensorflow as tf

from batch import TFModel
from batch.training.strategy import make_strategy

ADDRESSES = ["localhost:1", "localhost:2"]
ALONE = {"cluster": {"worker": ADDRESSES[:1]}, "task": {"type": "worker", "index": 0}}
EVALUATOR = {"cluster": {"worker": ADDRESSES, "evaluator": ADDRESSES[:1]}, "task": ALONE["task"]}
BEYOND = {"cluster": {"worker": ADDRESSES}, "task": {"type": "worker", "index": 2}}


def test_a_single_device_trains_as_without_a_strategy():
    inputs = {"inputs": {"shape": (6,)}, "labels": {"classes": 3}}
    layers = [keras.layers.Dense(4), keras.layers.Dense(3)]
    model = TFModel({"inputs": inputs, "network": layers, "strategy": "mirrored"})
    assert model.trainer.replicas is None
    assert make_strategy(None) is None
    assert make_strategy(model.strategy) is model.strategy


@pytest.mark.parametrize("given", ["mirror", 2, tf.distribute.OneDeviceStrategy("CPU:0"), True])
def test_another_strategy_is_refused(given):
    with pytest.raises(ValueError, match="strategy must be mirrored, multiworker"):
        make_strategy(given)


@pytest.mark.parametrize("given", [None, "", "{", "[]", "{}", ALONE, EVALUATOR, BEYOND])
def test_workers_must_be_named(given, monkeypatch):
    text = json.dumps(given) if isinstance(given, dict) else given
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"TF_CONFIG, which must name several workers.*Received"):
        make_strategy("multiworker")


def test_workers_meet_before_anything_is_computed(monkeypatch):
    tf.zeros(())
    config = {"cluster": {"worker": ADDRESSES}, "task": ALONE["task"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(ValueError, match="before TensorFlow computes anything"):
        make_strategy("multiworker")
