"""A model that is dropped leaves nothing in the process."""

import gc
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from batchflow import Dataset, DatasetIndex, Pipeline
from tensorflow.python.framework.func_graph import FuncGraph

from batch import ResBatch, TFModel
from batch.feature_cache.stores import Features
from batch.training.block import Block
from batch.training.compile_ahead import CompileAhead
from batch.training.export import StaticGraph
from batch.training.trainer import Trainer

FREEZING = {"iterations": 6, "learning_rate": 0.05, "t_0": 0.3, "degree": 1, "scaled": False}
FREEZEOUT = {"schedule": ("FreezeOut", {**FREEZING, "finetune_rate": 0.01})}
HELD = (
    TFModel,
    Trainer,
    Block,
    Features,
    Dataset,
    Pipeline,
    FuncGraph,
    keras.layers.Layer,
    tf.Variable,
)


def alive():
    """What may hold much memory, by its id."""
    CompileAhead._worker.submit(int).result()
    gc.collect()
    return {id(one): one for one in gc.get_objects() if issubclass(type(one), HELD)}


def left_by(use):
    """Names of the classes of what a function made and left."""
    before = alive()
    use()
    return sorted(type(one).__name__ for key, one in alive().items() if key not in before)


@pytest.fixture
def trained(make, examples):
    """A function that makes a model and trains it, through several stages if blocks freeze."""

    def train(steps=7, **config):
        model = make(**config)
        for step in range(steps):
            model.train(*examples, rows=np.arange(20) + step)
        return model

    return train


def saved(model, folder):
    """The model of a file that another wrote."""
    model.save(folder / "model")
    return TFModel(folder / "model")


def in_a_pipeline(examples, blocks):
    """Train in chained actions, freezing and dropping branches, and test."""
    freezing = {"iteration": 4, "t_0": 0.5, "network": blocks(), "cache": "memory"}
    pipeline = (
        Dataset(DatasetIndex(60), ResBatch)
        .pipeline(config={"freeznet": freezing, "dropping": {"network": blocks()}})
        .train_freez([], *examples)
        .train_stochastic([], *examples, name="dropping")
        .test("freeznet", [], *examples)
    )
    for _ in range(4):
        pipeline.next_batch(20, n_epochs=None, shuffle=1)
    assert pipeline.m("freeznet").frozen


def depthwise():
    """Layers of a network whose depthwise kernel has a gradient of its own."""
    return [
        keras.layers.Conv2D(24, 1),
        keras.layers.DepthwiseConv2D(5),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]


KINDS = {
    "made": lambda trained, **_: trained(steps=0),
    "FreezeOut, cached": lambda trained, **_: trained(**FREEZEOUT, cache="memory"),
    "FreezeOut, compressed": lambda trained, **_: trained(**FREEZEOUT, cache="compressed"),
    "stochastic depth": lambda trained, **_: trained(steps=1, survival=0.5),
    "depthwise": lambda trained, **_: trained(network=depthwise(), depthwise_gradient="by_shape"),
    "predicts": lambda trained, examples, **_: trained(steps=0).predict(*examples),
    "reset": lambda trained, **_: trained(steps=1).reset(),
    "saved": lambda trained, tmp_path, **_: saved(trained(steps=1), tmp_path),
    "pickled": lambda trained, **_: pickle.loads(pickle.dumps(trained(steps=1))),
    "static graph": lambda trained, **_: StaticGraph(trained(steps=0, **FREEZEOUT).trainer, 6),
    "pipeline": lambda examples, blocks, **_: in_a_pipeline(examples, blocks),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left(kind, trained, examples, blocks, tmp_path):
    given = {"trained": trained, "examples": examples, "blocks": blocks, "tmp_path": tmp_path}
    assert not left_by(lambda: KINDS[kind](**given))


OPTIMIZERS = {
    "Adam": {"global_clipnorm": 1.0},
    "AdamW": {"loss_scale_factor": 2.0},
    "SGD": {"gradient_accumulation_steps": 2},
    "Nadam": {},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_leaves_its_graph(name, make_dense, vectors):
    def train():
        model = make_dense(optimizer=(name, OPTIMIZERS[name]), learning_rate=0.01)
        model.train(*vectors)
        model.train(*vectors)

    assert not left_by(train)


def test_what_is_still_held_is_found(make_dense, vectors):
    models = []
    left = left_by(lambda: models.append(make_dense()))
    assert {"TFModel", "Trainer", "Block", "Sequential"} <= set(left)


def test_variables_share_the_operation_that_makes_them_and_have_their_names(make_dense, vectors):
    model = make_dense(optimizer=("SGD", {"momentum": 0.9}))
    assert model.network.layers[0].kernel.value.name.endswith("hidden/kernel:0")
    slots = [slot for optimizer in model.trainer.optimizers for slot in optimizer.variables]
    made = [variable.value for variable in (*model.network.variables, *slots)]
    assert {variable.handle._name for variable in made} == {"Variable:0"}
    assert all(variable.name.count("/") for variable in made)
    assert len({variable.value.name for variable in model.network.variables}) == 4


GROWTH = """
import ctypes, gc, pathlib
import keras, numpy as np
from batch import TFModel

inputs = {"vectors": {"shape": (6,)}, "labels": {"classes": 3}}
draw = np.random.default_rng(0)
examples = draw.normal(size=(32, 6)).astype(np.float32), draw.integers(0, 3, 32)

def megabytes():
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * 4096 / 2**20

def use():
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)]
    TFModel({"inputs": inputs, "network": layers, "learning_rate": 0.01}).train(*examples)
    return megabytes()

begun = [use() for _ in range(3)]
print([use() for _ in range(8)][-1] - begun[-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc, and malloc_trim of glibc")
def test_memory_does_not_grow():
    # In a process of its own: the heap of one that other tests have used grows by itself.
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, check=True)
    assert float(done.stdout.splitlines()[-1]) < 2
