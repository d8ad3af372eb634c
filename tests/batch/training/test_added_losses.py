"""What layers add to the loss in steps that stages share, graphs, copies, caches and threads."""

import threading

import keras
import numpy as np
import pytest

from batch import FreezeOut, TFModel
from batch.feature_cache import prefix
from batch.networks.added_losses import added_losses
from batch.training.export import StaticGraph

INPUTS = {"images": {"shape": (6,)}, "labels": {"classes": 3}}
X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 40)
FREEZING = {"iterations": 9, "learning_rate": 0.1, "t_0": 0.3, "degree": 1, "scaled": False}


@keras.saving.register_keras_serializable(package="tests")
class InTraining(keras.layers.Dense):
    """Adds to the loss in training alone."""

    def call(self, inputs, training=None):
        outputs = super().call(inputs)
        if training:
            self.add_loss(0.1 * keras.ops.mean(outputs**2))
        return outputs


def layers():
    def made(units, name, kind=keras.layers.Dense, **kwargs):
        initializer = keras.initializers.HeNormal(seed=len(name))
        return kind(units, name=name, kernel_initializer=initializer, **kwargs)

    return [
        made(8, "first", kernel_regularizer=keras.regularizers.L2(0.1)),
        made(8, "second", activity_regularizer=keras.regularizers.L2(0.1)),
        made(8, "third", InTraining, bias_regularizer=keras.regularizers.L1(0.1)),
        made(3, "classes"),
    ]


def make(**config):
    """A model of three blocks, all of which add to the loss."""
    schedule = FreezeOut(3, **FREEZING)
    return TFModel({"inputs": INPUTS, "network": layers(), "schedule": schedule, **config})


def batches(count=10):  # after the last iteration of the schedule, all is frozen
    return [np.random.default_rng(step).permutation(40)[:20] for step in range(count)]


@pytest.fixture(scope="module")
def expected():
    """Losses of a run with a step for each stage, without a cache; and its model."""
    model = make(cache="off")
    return [model.train(X, Y, rows=rows) for rows in batches()], model


def check_weights(model, other):
    for ours, theirs in zip(model.network.weights, other.network.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clipnorm", [None, 0.5])
def test_steps_that_stages_share(clipnorm):
    config = {"optimizer": ("SGD", {"global_clipnorm": clipnorm}), "cache": "off"}
    own, shared = make(**config), make(**config)
    shared.trainer.plan.groups = [(0, 2)]
    for rows in batches():
        before = [layer.get_weights() for layer in shared.network.layers]
        losses = [
            model.train(X, Y, rows=rows, fetches=["loss", "data_loss"]) for model in (own, shared)
        ]
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)
        after = [layer.get_weights() for layer in shared.network.layers]
        for block in range(shared.frozen):
            assert all(map(np.array_equal, before[block], after[block]))
    assert shared.frozen == 3
    assert len(shared.trainer.steps) == 2  # the last for a network that is frozen
    check_weights(own, shared)


@pytest.mark.parametrize("conditionals", ["blocks", "stages"])
def test_static_graphs(expected, conditionals):
    model = make()
    graph = StaticGraph(model.trainer, 9, conditionals, dtype="float32")
    losses = [float(graph.train(X[rows], Y[rows], step)) for step, rows in enumerate(batches())]
    assert losses == pytest.approx(expected[0], rel=1e-5)
    check_weights(model, expected[1])


def test_a_block_that_adds_by_its_input_is_not_cached(expected, caplog):
    prefix.warn.cache_clear()
    model = make(cache="memory")
    assert [model.train(X, Y, rows=rows) for rows in batches()] == expected[0]
    assert model.trainer.cache._current.depth == 1
    assert model.trainer.cache.hits
    (record,) = caplog.records
    assert record.getMessage().endswith("second adds to the loss what depends on its input.")


def test_models_that_are_saved_and_loaded(expected, tmp_path):
    model = make(cache="off")
    losses = [model.train(X, Y, rows=rows) for rows in batches()[:5]]
    model.save(tmp_path / "model")
    load = {"path": tmp_path / "model"}
    model = TFModel({"load": load, "schedule": FreezeOut(3, **FREEZING), "cache": "off"})
    assert losses + [model.train(X, Y, rows=rows) for rows in batches()[5:]] == expected[0]


def test_a_network_in_bfloat16_adds_about_the_same():
    fetches = ["loss", "data_loss"]
    (loss, data), (low, low_data) = (
        make(precision=precision).train(X, Y, fetches=fetches)
        for precision in ("float32", "bfloat16")
    )
    assert low - low_data == pytest.approx(loss - data, rel=0.01)
    assert loss - data > 0.1


def test_weight_decay_is_no_part_of_the_loss():
    first, second = (make(weight_decay=decay).train(X, Y) for decay in (0.0, 0.1))
    assert first == second


def test_each_thread_has_losses_of_its_own():
    layer = keras.layers.ActivityRegularization(l2=1.0)
    with added_losses(layer) as losses:
        other = threading.Thread(target=layer, args=(np.ones((2, 3)),))
        other.start()
        other.join()
        assert losses == []
        layer(np.full((2, 3), 2.0))
    assert [float(loss) for loss in losses] == [12.0]
    layer(np.ones((2, 3)))
    assert [float(loss) for loss in layer.losses] == [3.0]  # as in Keras
