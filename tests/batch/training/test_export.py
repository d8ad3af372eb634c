import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import Constant, FreezeOut
from batch.data.examples import Examples
from batch.training.export import StaticGraph
from batch.training.losses import cross_entropy
from batch.training.optimizers import FusedSGD
from batch.training.preprocessing import Preprocessing
from batch.training.trainer import Trainer

ITERATIONS = 8


@pytest.fixture(scope="module")
def make(blocks):
    def make_trainer(schedule=None, leading=(), **settings):
        schedule = schedule or FreezeOut(3, ITERATIONS, 0.05, t_0=0.3, degree=1)
        network = keras.Sequential([keras.Input((8, 8, 1)), *leading, *blocks()])
        optimizer = FusedSGD(0.05, momentum=0.9, nesterov=True, **settings)
        preprocessing = Preprocessing((0.3,), (0.2,), pad=1, flip=True, seed=4)
        return Trainer(
            network,
            optimizer,
            schedule,
            loss=cross_entropy,
            preprocessing=preprocessing,
            weight_decay=1e-3,
        )

    return make_trainer


CONDITIONALS = ("blocks", "stages")


@pytest.fixture(scope="module")
def saved(make, tmp_path_factory):
    """The folder with the graphs of a model, by their conditionals."""
    folder = tmp_path_factory.mktemp("graphs")
    for conditionals in CONDITIONALS:
        StaticGraph(make(), ITERATIONS, conditionals).save(folder / conditionals)
    return folder


def test_the_graph_trains_like_a_step_a_stage(make, examples, saved):
    images, labels = examples[0], examples[1].astype(np.int64)
    trainer = make()
    graphs = [tf.saved_model.load(saved / conditionals) for conditionals in CONDITIONALS]
    placed = tf.constant(images), tf.constant(labels)
    for iteration in range(ITERATIONS + 1):  # the last is beyond the schedule: all is frozen
        rows = np.random.default_rng(iteration).integers(0, len(images), 20)
        expected, _ = trainer.step(Examples(*placed, rows))
        for graph in graphs:
            loss = graph.train(tf.constant(images[rows]), tf.constant(labels[rows]), iteration)
            assert float(loss) == pytest.approx(expected, rel=1e-4)
    expected = trainer.network(trainer.preprocessing.inference(placed[0]), training=False)
    for graph in graphs:
        np.testing.assert_allclose(graph.predict(placed[0]), expected, rtol=1e-3, atol=1e-3)


def test_views_are_refused(make):
    trainer = make()
    trainer.preprocessing = Preprocessing(flip=True, views=3)
    with pytest.raises(ValueError, match=r"takes no ids of examples, .* Received: 'views': 3"):
        StaticGraph(trainer, ITERATIONS)


def test_images_that_would_be_scaled_twice_are_refused(make):
    trainer = make(Constant(4, 0.1), [keras.layers.Rescaling(1 / 255, name="scaled")])
    with pytest.raises(
        ValueError, match=r"dtype must be 'float32': .* scaled scales pixels from 0"
    ):
        StaticGraph(trainer, ITERATIONS)
    assert StaticGraph(trainer, ITERATIONS, dtype="float32").train is not None


@pytest.mark.parametrize("conditionals", ["blocks", "stages"])
def test_frozen_blocks_do_not_move(make, examples, conditionals):
    images, labels = examples
    trainer = make()
    graph = StaticGraph(trainer, ITERATIONS, conditionals)
    batch = tf.constant(images[:20]), tf.constant(labels[:20].astype(np.int64))
    for _ in range(2):
        graph.train(*batch, 0)
    before = [layer.get_weights() for layer in trainer.network.layers]
    graph.train(*batch, 5)  # block 0 stops at 2.4, block 1 at 5.2, block 2 at 8
    after = [layer.get_weights() for layer in trainer.network.layers]
    same = [all(map(np.array_equal, first, second)) for first, second in zip(before, after)]
    assert same == [True, False, False, False]


def test_an_exported_graph_needs_none_of_our_code(saved, tmp_path):
    script = f"""
import sys, numpy as np, tensorflow as tf
graph = tf.saved_model.load({str(saved / "blocks")!r})
images = tf.zeros((4, 8, 8, 1), tf.uint8)
losses = [float(graph.train(images, tf.constant([0, 1, 2, 0], tf.int64), i)) for i in range(3)]
assert np.isfinite(losses).all() and losses[2] != losses[0], losses
assert not {{"batch", "utils"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


def test_what_blocks_cannot_express_is_refused(make):
    def middle(iteration):
        return np.array([0.1, 0.0, 0.1])

    with pytest.raises(ValueError, match="leading blocks first: use conditionals='stages'"):
        StaticGraph(make(middle), 3)
    StaticGraph(make(middle), 3, "stages")
    with pytest.raises(
        ValueError, match=r"conditionals must be blocks or stages\. Received: 'all'"
    ):
        StaticGraph(make(), 3, "all")


def test_accumulated_gradients_of_a_block_that_freezes_are_refused(make):
    with pytest.raises(ValueError, match="can't apply what gradient_accumulation_steps has"):
        StaticGraph(make(gradient_accumulation_steps=2), ITERATIONS)
    assert StaticGraph(make(Constant(3, 0.05), gradient_accumulation_steps=2), ITERATIONS)
