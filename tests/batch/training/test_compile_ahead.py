import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel
from batch.training import compile_ahead
from batch.training.compile_ahead import CompileAhead, variables_of

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
FREEZING = {"iterations": 12, "learning_rate": 0.05, "t_0": 0.3, "degree": 1, "scaled": False}


@pytest.fixture
def trained(blocks, examples):
    """A function that makes ten steps of a model, and gives it and their losses."""

    def train(**config):
        given = {"inputs": INPUTS, "network": blocks(), "schedule": ("FreezeOut", FREEZING)}
        model = TFModel({**given, **config})
        rng = np.random.default_rng(0)
        batches = [rng.permutation(60)[:20] for _ in range(10)]
        losses = []
        for rows in batches:
            losses.append(model.train(*examples, rows=rows))
            model.trainer.settle()  # else these quick steps may overtake the other thread
        return model, losses

    return train


def values(model):
    return [np.asarray(value) for value in (*model.network.variables, *variables_of(model.trainer))]


@pytest.mark.parametrize("cache", ["off", "memory"])
def test_a_stage_begins_with_a_step_that_was_made_ready(trained, cache, monkeypatch):
    made = []
    compile_step = compile_ahead._compile
    monkeypatch.setattr(compile_ahead, "_compile", lambda *given: made.append(compile_step(*given)))
    model, losses = trained(cache=cache)
    assert len(made) == 2  # stages with one and with two frozen blocks
    assert len(model.trainer.steps) == 3
    monkeypatch.setattr("batch.machine.COMPILE_LEAD", -1)
    alone, others = trained(cache=cache)
    assert len(made) == 2
    assert losses == others
    assert all(np.array_equal(*pair) for pair in zip(values(model), values(alone), strict=True))


def test_what_goes_wrong_beside_training_is_met_where_it_is_needed(trained, monkeypatch):
    def fails(*_):
        raise RuntimeError("lost")

    monkeypatch.setattr(compile_ahead, "_stand_ins", fails)
    trained()


class Counting(keras.layers.Layer):
    """A layer with a random operation that remembers how often it ran."""

    def call(self, inputs):
        return inputs + tf.random.normal((), seed=1, dtype=inputs.dtype)


def test_a_step_with_random_operations_is_not_tried():
    step = tf.function(lambda: Counting()(tf.zeros(2)), autograph=False)

    @tf.function(autograph=False)
    def outer():
        return step()

    assert compile_ahead._stand_ins(outer.get_concrete_function(), []) is None


def test_only_known_variables_are_replaced():
    known, other = tf.Variable([1.0, 2.0]), tf.Variable(3.0)
    step = tf.function(lambda: known.assign_add(known), autograph=False).get_concrete_function()
    (stand_in,) = compile_ahead._stand_ins(step, [known, other])
    step._call_flat([], [stand_in.handle])
    assert known.numpy().tolist() == [1.0, 2.0]
    assert compile_ahead._stand_ins(step, [other]) is None


def test_large_variables_are_not_doubled(monkeypatch):
    known = tf.Variable([1.0, 2.0])
    step = tf.function(lambda: known.assign_add(known), autograph=False).get_concrete_function()
    monkeypatch.setattr(compile_ahead, "free_memory", lambda: 8)
    assert compile_ahead._stand_ins(step, [known]) is None


def test_a_step_is_compiled_once():
    calls, step = [], tf.function(lambda: 1.0).get_concrete_function()
    ahead = CompileAhead()
    for _ in range(2):
        ahead.start("key", compiled=lambda: calls.append(1) or step, arguments=list, variables=list)
    ahead.settle()
    ahead.wait("key")
    ahead.wait("another")
    assert calls == [1]


def test_a_step_that_has_not_started_when_it_is_needed_is_not_waited_for():
    free, calls = threading.Event(), []
    blocker, ahead = CompileAhead(), CompileAhead()
    blocker.start("busy", compiled=free.wait, arguments=list, variables=list)
    ahead.start("key", compiled=lambda: calls.append(1), arguments=list, variables=list)
    ahead.wait("key")
    free.set()
    blocker.settle()
    assert not calls
