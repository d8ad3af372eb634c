import keras
import numpy as np
import pytest
import tensorflow as tf

from batch.schedules.rates import KerasRates
from batch.training.optimizers import FusedSGD, copies, fused, make_optimizer, rate_of, to_dict


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


def steps(optimizer, rates):
    """A weight after each step at its rate, with the same gradients every time."""
    variable = keras.Variable(np.linspace(-1, 1, 6), dtype="float32")
    gradients = np.random.default_rng(1).normal(size=(len(rates), 6)).astype(np.float32)
    for rate, gradient in zip(rates, gradients):
        optimizer.learning_rate = rate
        optimizer.apply([tf.constant(gradient)], [variable])
        yield variable.numpy()


def steps_of_the_source(nesterov, rates):
    """The same by TensorFlow 1's optimizer."""
    variable = tf.Variable(np.linspace(-1, 1, 6), dtype="float32")
    gradients = np.random.default_rng(1).normal(size=(len(rates), 6)).astype(np.float32)
    rate = iter(rates)
    optimizer = tf.compat.v1.train.MomentumOptimizer(lambda: next(rate), 0.9, use_nesterov=nesterov)
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
        yield variable.numpy()


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_rate_outside_is_as_in_tensorflow_1(nesterov):
    cosine = (0.05 * (1 + np.cos(np.pi * np.arange(20) / 20))).tolist()
    inside, outside = (
        list(steps(FusedSGD(momentum=0.9, nesterov=nesterov, rate_outside=given), cosine))
        for given in (False, True)
    )
    np.testing.assert_allclose(outside, list(steps_of_the_source(nesterov, cosine)), rtol=1e-5)
    assert np.abs(np.subtract(inside, outside)).max() > 0.1


@pytest.mark.parametrize("nesterov", [False, True])
def test_for_a_constant_rate_both_forms_are_one(nesterov):
    inside, outside = (
        list(steps(FusedSGD(momentum=0.9, nesterov=nesterov, rate_outside=given), [0.1] * 20))
        for given in (False, True)
    )
    np.testing.assert_allclose(inside, outside, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("spec", [("SGD", {"rate_outside": True}), FusedSGD(rate_outside=True)])
def test_the_form_is_kept_by_copies_and_in_files(spec):
    optimizer = make_optimizer(spec)
    (copy,) = copies(optimizer, 1)
    read = make_optimizer(to_dict(copy))
    assert (optimizer.rate_outside, copy.rate_outside, read.rate_outside) == (True, True, True)
    assert not make_optimizer("SGD").rate_outside


def test_a_form_that_is_neither():
    with pytest.raises(ValueError, match="rate_outside must be True or False"):
        make_optimizer(("SGD", {"rate_outside": "yes"}))
    with pytest.raises(ValueError, match="Did you mean 'rate_outside'"):
        make_optimizer(("SGD", {"rate_outsid": True}))
    with pytest.raises(ValueError, match="Unknown key in the config of optimizer 'Adam'"):
        make_optimizer(("Adam", {"rate_outside": True}))


@pytest.mark.parametrize("name", ["Momentum", "MomentumOptimizer"])
def test_the_name_of_tensorflow_1_is_refused_with_ours(name):
    with pytest.raises(ValueError, match=r"'rate_outside': True}\) here$"):
        make_optimizer((name, {"momentum": 0.9, "use_nesterov": True}))


def test_fused_replaces_sgd_only():
    sgd = keras.optimizers.SGD(0.1, momentum=0.5)
    assert type(fused(sgd)) is FusedSGD
    assert fused(sgd).get_config() == {**sgd.get_config(), "rate_outside": False}
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
