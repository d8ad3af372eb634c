import keras
import numpy as np
import pytest
import tensorflow as tf

from batch.optimizers import FusedSGD, copies, fused


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "weight_decay": 0.1, "clipvalue": 0.5},
    ],
)
def test_fused_sgd_equals_keras(options):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 4))
    results = []
    for kind in (FusedSGD, keras.optimizers.SGD):
        variable = keras.Variable(start, dtype="float32")
        optimizer = kind(learning_rate=0.1, **options)
        gradients = np.random.default_rng(1).normal(size=(5, 3, 4)).astype(np.float32)
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)], [variable])
        results.append([variable.numpy(), *(slot.numpy() for slot in optimizer.variables)])
    for one, two in zip(*results):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_fused_replaces_sgd_only():
    sgd = keras.optimizers.SGD(0.1, momentum=0.5)
    assert type(fused(sgd)) is FusedSGD
    assert fused(sgd).get_config() == sgd.get_config()
    adam = keras.optimizers.Adam()
    assert fused(adam) is adam


def test_copies_are_independent():
    one, two = copies(FusedSGD(0.1, momentum=0.5), 2)
    one.learning_rate.assign(0.2)
    assert float(two.learning_rate) == pytest.approx(0.1)


def test_settings_that_would_mean_something_else_are_refused():
    with pytest.raises(ValueError, match="global_clipnorm=1"):
        copies(keras.optimizers.SGD(0.1, global_clipnorm=1.0), 2)
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    with pytest.raises(ValueError, match="comes from the schedule"):
        copies(keras.optimizers.SGD(decay), 2)
