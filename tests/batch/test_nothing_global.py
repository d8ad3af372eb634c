"""Other code in the process does not notice us: what is global stays as the user left it."""

import json
import os
import subprocess
import sys

import pytest
from batchflow import Batch, Dataset, Pipeline, V, action

from batch import runtime

# Training with all that we have: a pipeline, stages, a cache, compiling ahead, dropped branches.
OURS = """
def train_ours():
    import numpy as np
    from batchflow import Dataset, DatasetIndex
    from batch import ResBatch
    from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock

    blocks = [
        ConvolutionBlock(4, seed=0),
        ResidualBlock([4, 8], seed=1),
        ResidualBlock([4, 8], seed=2),
        Classifier(3, seed=3),
    ]
    rng = np.random.default_rng(0)
    images, labels = rng.random((60, 8, 8, 1), np.float32), np.arange(60) % 3
    frozen = {"iteration": 4, "t_0": 0.5, "network": blocks, "cache": "memory"}
    config = {"freeznet": frozen, "dropping": {"network": blocks}}
    pipeline = (
        Dataset(DatasetIndex(60), ResBatch)
        .pipeline(config=config)
        .train_freez([], images, labels)
        .train_stochastic([], images, labels, name="dropping")
        .test("freeznet", [], images, labels)
    )
    for _ in range(4):
        pipeline.next_batch(20, n_epochs=None, shuffle=1)
    assert pipeline.m("freeznet").frozen
"""

UNCHANGED = f"""
import os, warnings
import batchflow, blosc, keras, numpy, pandas, tensorflow  # they may change what they like
import matplotlib.pyplot
from tensorflow.python.framework import config

{OURS}
filters, environment = list(warnings.filters), dict(os.environ)
policy, style = keras.config.dtype_policy().name, dict(matplotlib.rcParams)
train_ours()
assert warnings.filters == filters
assert not config.is_op_determinism_enabled()
assert keras.config.dtype_policy().name == policy
assert dict(matplotlib.rcParams) == style
changed = {{key: os.environ[key] for key in os.environ if environment.get(key) != os.environ[key]}}
# JAX sets the second itself.
ours = {{"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}}
assert changed == {{key: ours[key] for key in ours if key not in environment}}, changed
"""

# A user's own model, of which nothing is seeded but the process.
THEIRS = """
import json
import keras, numpy as np

keras.utils.set_random_seed(7)
network = keras.Sequential(
    [
        keras.Input((8,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
network.compile("adam", loss)
inputs, classes = np.random.rand(64, 8), np.random.randint(0, 3, 64)

def fit():
    return network.fit(inputs, classes, 16, epochs=2, shuffle=True, verbose=0).history["loss"]
"""
ALONE = f"{THEIRS}\nprint(json.dumps([fit(), fit()]))"
BESIDE = f"""
{THEIRS}
{OURS}
losses = [fit()]
train_ours()
losses.append(fit())
print(json.dumps(losses))
"""


def run(code, **variables):
    """The output of some code in a fresh process."""
    ours = ("TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_and_training_change_nothing_but_two_variables():
    run(UNCHANGED)


def test_import_alone_sets_one_variable():
    code = (
        "import os\nbefore = dict(os.environ)\nimport batch\nprint(set(os.environ) - set(before))"
    )
    assert run(code) == "{'TF_ENABLE_ONEDNN_OPTS'}\n"


def test_a_users_own_fit_gives_the_losses_that_it_gives_without_us():
    alone, beside = (json.loads(run(code, TF_ENABLE_ONEDNN_OPTS="1")) for code in (ALONE, BESIDE))
    assert beside == alone


class Noting(Batch):
    """A batch whose actions note how they were called; one has an argument `name`."""

    notes = []  # noqa: RUF012 of all batches: BatchFlow copies what an action is given

    @action
    def note(self, *values, key=None):
        self.notes.append((values, key))
        return self

    @action
    def greet(self, name="nobody"):
        self.notes.append(name)
        return self


def noted(pipeline):
    """What the actions of a pipeline note in a batch."""
    Noting.notes.clear()
    pipeline.next_batch(3)
    return list(Noting.notes)


def working_calls():
    """A pipeline of calls that BatchFlow takes without us."""
    pipeline = Dataset(6, Noting).p.init_variable("sum", default=0)
    return pipeline.update(V("sum", mode="+"), 1).note(1, 2, key="k").note().greet().greet("you")


@pytest.fixture
def unpatched(monkeypatch):
    """A function that takes our change of BatchFlow back until the test ends."""
    runtime.set_globals(batchflow=True)
    original = Pipeline._add_action.__wrapped__
    return lambda: monkeypatch.setattr(Pipeline, "_add_action", original)


def test_pipelines_that_worked_before_are_the_same(unpatched):
    results = []
    for _ in range(2):
        pipeline = working_calls()
        actions = [
            (entry["name"], len(entry["args"]), sorted(entry["kwargs"]))
            for entry in pipeline._actions
        ]
        results.append((actions, noted(pipeline), pipeline.v("sum")))
        unpatched()
    assert results[0] == results[1]
    assert results[0][1] == [((1, 2), "k"), ((), None), "nobody", "you"]


def test_an_argument_called_name_works_with_us_only(unpatched):
    assert noted(Dataset(6, Noting).p.greet(name="you")) == ["you"]
    unpatched()
    with pytest.raises(TypeError, match="'name'"):
        Dataset(6, Noting).p.greet(name="you")


def test_batchflow_is_changed_once():
    runtime.set_globals(batchflow=True)
    changed = Pipeline._add_action
    runtime.set_globals(batchflow=True)
    assert Pipeline._add_action is changed
