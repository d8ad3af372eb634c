import keras
import numpy as np
import pytest
import tensorflow as tf

from batch.schedules.rates import KerasRates
from batch.training.optimizers import FusedSGD, copies, fused, rate_of


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
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_fused_replaces_sgd_only():
    sgd = keras.optimizers.SGD(0.1, momentum=0.5)
    assert type(fused(sgd)) is FusedSGD
    assert fused(sgd).get_config() == sgd.get_config()
    adam = keras.optimizers.Adam()
    assert fused(adam) is adam


def test_copies_are_independent():
    first, second = copies(FusedSGD(0.1, momentum=0.5), 2)
    first.learning_rate.assign(0.2)
    assert float(second.learning_rate) == pytest.approx(0.1)


def test_copies_leave_rates_and_the_global_norm_to_the_trainer():
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    (copy,) = copies(keras.optimizers.SGD(decay, global_clipnorm=1.0), 1)
    assert copy.global_clipnorm is None
    copy.learning_rate.assign(0.5)  # Keras refuses this under a schedule of its own


def test_the_rate_that_was_given():
    assert rate_of(keras.optimizers.SGD(0.1)) == 0.1
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert rate_of(fused(keras.optimizers.SGD(decay))) is decay
    assert KerasRates(2, decay)(10).tolist() == pytest.approx([0.05, 0.05])
    with pytest.raises(ValueError, match="number or a Keras learning-rate schedule"):
        rate_of(keras.optimizers.SGD(lambda: 0.1))
