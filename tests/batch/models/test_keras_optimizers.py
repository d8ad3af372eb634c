"""Every optimizer that Keras exports trains as under Keras itself, or is refused."""

import inspect

import keras
import numpy as np
import pytest

from batch import TFModel
from batch.training.optimizers import copies, make_optimizer, to_dict

EXPORTED = {
    name: kind
    for name, kind in vars(keras.optimizers).items()
    if isinstance(kind, type) and issubclass(kind, keras.optimizers.Optimizer)
}
REFUSED = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
TRAINED = sorted(set(EXPORTED) - set(REFUSED))
STEPS = 12


@pytest.fixture
def keras_weights(dense, vectors):
    """A function that trains the dense layers with stock Keras, and gives losses and weights."""

    def train(optimizer):
        network = keras.Sequential([keras.Input((6,)), *dense()])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(optimizer, loss, run_eagerly=True)
        losses = [network.train_on_batch(*vectors) for _ in range(STEPS)]
        return losses, network.get_weights()

    return train


@pytest.fixture
def check(make_dense, keras_weights, vectors, tmp_path):
    """A function that compares training, and training that was saved and loaded, with Keras."""

    def check_optimizer(make, tolerance=1e-5):
        losses, weights = keras_weights(make())
        model = make_dense(optimizer=make())
        first = [model.train(*vectors) for _ in range(STEPS // 2 - 1)]  # an odd number of steps
        model.save(tmp_path / "model.zip")
        loaded = TFModel({"load": {"path": tmp_path / "model.zip"}})
        for going_on in (model, loaded):
            ours = first + [going_on.train(*vectors) for _ in range(STEPS - len(first))]
            np.testing.assert_allclose(ours, losses, rtol=tolerance)
            for mine, theirs in zip(going_on.network.get_weights(), weights, strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=10 * tolerance, atol=tolerance)
        assert abs(losses[-1] - losses[0]) > 100 * tolerance  # it did learn

    return check_optimizer


@pytest.mark.parametrize("name", TRAINED)
def test_every_optimizer_trains_as_in_keras(check, name):
    rate = 1.0 if name == "Adadelta" else 0.02
    check(lambda: EXPORTED[name](rate))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Adam", {"clipvalue": 1e-3, "epsilon": 1e-3, "loss_scale_factor": 2.0**20}),
        ("SGD", {"global_clipnorm": 0.1, "momentum": 0.9, "loss_scale_factor": 1000.0}),
        ("SGD", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5}),
        ("SGD", {"gradient_accumulation_steps": 2, "clipnorm": 0.1, "weight_decay": 0.5}),
        ("SGD", {"gradient_accumulation_steps": 4, "global_clipnorm": 0.05, "momentum": 0.5}),
        (
            "Adam",
            {
                "gradient_accumulation_steps": 2,
                "use_ema": True,
                "ema_overwrite_frequency": 2,
                "global_clipnorm": 0.1,
                "loss_scale_factor": 8.0,
                "weight_decay": 0.1,
            },
        ),
    ],
)
def test_every_setting_acts_as_in_keras(check, name, settings):
    check(lambda: EXPORTED[name](0.01 if name == "Adam" else 0.1, **settings))


def test_what_is_excluded_from_weight_decay(check):
    def make():
        optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["hidden/kernel", "bias"])
        return optimizer

    check(make)


def test_a_schedule_of_keras_acts_as_in_keras_where_its_rate_is_0_too(check):
    decay = keras.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.05, warmup_steps=5)
    assert [float(decay(step)) for step in (0, 15)] == [0.0, 0.0]
    check(lambda: keras.optimizers.Adam(decay))


def test_slots_begin_from_the_weights_of_the_first_step(make_dense, vectors):
    start = [np.full_like(weight, 0.1) for weight in make_dense().network.get_weights()]
    model = make_dense(optimizer="ScheduleFreeAdamW", learning_rate=0.05)
    model.network.set_weights(start)
    model.train(*vectors)
    after = model.network.get_weights()
    moved = max(np.abs(weight - before).max() for weight, before in zip(after, start))
    assert 0 < moved < 0.06  # one step of rate 0.05, not back to the weights of before


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value / 2 if isinstance(value, float) else value + 1
    return value


@pytest.mark.parametrize("name", TRAINED)
def test_every_argument_reaches_the_copies_and_the_file(name):
    parameters = inspect.signature(EXPORTED[name]).parameters.values()
    given = {
        parameter.name: other(parameter.default)
        for parameter in parameters
        if parameter.default is not parameter.empty and parameter.name != "use_ema"
    }
    optimizer = EXPORTED[name](**given)
    expected = {**optimizer.get_config(), "learning_rate": pytest.approx(given["learning_rate"])}
    assert copies(optimizer, 1)[0].get_config() == expected
    read = make_optimizer(to_dict(optimizer)).get_config()
    assert {key: read[key] for key in expected} == expected
    assert all(expected[key] == value for key, value in given.items() if value is not None)


@keras.saving.register_keras_serializable(package="tests")
class Halved(keras.optimizers.SGD):
    """A user's own optimizer, with a setting that its configuration names."""

    def __init__(self, learning_rate=0.01, share=0.5, **settings):
        super().__init__(learning_rate, **settings)
        self.share = share

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, self.share * learning_rate)

    def get_config(self):
        return {**super().get_config(), "share": self.share}


class Unregistered(Halved):
    """The same, unknown to Keras."""


class WithoutConfig(Halved):
    """The same, whose configuration does not name the setting."""

    def get_config(self):
        return keras.optimizers.SGD.get_config(self)


class Needing(keras.optimizers.SGD):
    """One that cannot be made without a setting which its configuration does not name."""

    def __init__(self, share, **settings):
        super().__init__(**settings)
        self.share = share


class Whole(keras.optimizers.SGD):
    """One that does something with all gradients at once."""

    def apply(self, gradients, variables=None):
        super().apply([gradient / len(gradients) for gradient in gradients], variables)


def test_an_optimizer_of_ones_own_trains_as_in_keras(check):
    check(lambda: Halved(0.2, share=0.25, momentum=0.5))


def test_a_class_that_keras_does_not_know_is_given_again(make_dense, vectors, tmp_path):
    model = make_dense(optimizer=Unregistered(0.2, share=0.25))
    model.train(*vectors)
    model.save(tmp_path / "model.zip")
    load = {"load": {"path": tmp_path / "model.zip"}}
    with pytest.raises(ValueError, match=r"can't read back Unregistered.* or give 'optimizer'"):
        TFModel(load)
    loaded = TFModel({**load, "optimizer": Unregistered(0.2, share=0.25)})
    assert loaded.train(*vectors) == model.train(*vectors)
    assert TFModel({"inputs": model.config["inputs"], "network": tmp_path / "model.zip"})


def used(iterations=0):
    """An optimizer with slots for other weights, or that has counted steps."""
    optimizer = keras.optimizers.Adam()
    optimizer.iterations.assign(iterations)
    if not iterations:
        optimizer.build([keras.Variable([1.0])])
    return optimizer


def excluding_variables():
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_list=[keras.Variable([1.0])])
    return optimizer


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
            r"LossScaleOptimizer, which has apply\(\).*Expected: its inner optimizer, with a fixed",
        ),
        (
            lambda: keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1))
            ),
            r"MultiOptimizer, which has apply\(\).*Expected: one of its optimizers",
        ),
        (lambda: "LossScaleOptimizer", "Received: LossScaleOptimizer"),
        (lambda: keras.optimizers.Optimizer(0.1), r"Optimizer, which has no update_step\(\)"),
        (lambda: "Optimizer", r"Optimizer, which has no update_step\(\)"),
        (lambda: Whole(0.1), r"Whole, which has apply\(\) for all weights at once"),
        (lambda: WithoutConfig(0.1, share=0.1), "Received: WithoutConfig, .* differs in share"),
        (lambda: Needing(0.1), "Received: Needing, .* missing .* 'share'"),
        (lambda: used(), r"expected a new one.* Received: Adam that was used .*iterations: 0\)"),
        (lambda: used(7), r"Received: Adam that was used before \(iterations: 7\)"),
        (excluding_variables, r"exclude_from_weight_decay\(var_list=…\) .* Expected: var_names"),
        (lambda: ("SGD", {"use_ema": True}), "use_ema=True needs an ema_overwrite_frequency"),
        (lambda: ("SGD", {"beta": 1}), "Unknown key in the config of optimizer 'SGD': beta"),
        (lambda: ("SGD", {"momentum": 3}), "Keras makes no SGD of this: .momentum. must be"),
        (lambda: ("SGD", 3), r"must be a Keras optimizer.* Received: \('SGD', 3\)"),
        *(
            (lambda setting=setting: ("SGD", {setting: -1.0}), f"SGD's {setting} must be .* -1.0")
            for setting in (
                *("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"),
                "loss_scale_factor",
            )
        ),
        (
            lambda: ("SGD", {"gradient_accumulation_steps": 2.5}),
            "_steps must be .* 2.5",
        ),
    ],
)
def test_what_would_train_otherwise_is_refused(make_dense, spec, message):
    with pytest.raises(ValueError, match=message):
        make_dense(optimizer=spec())


@pytest.mark.parametrize("optimizer", ["AdamW", "Muon", ("SGD", {"weight_decay": 0.1})])
def test_weight_decay_is_given_once(make_dense, optimizer):
    with pytest.raises(ValueError, match=r"weight_decay must be given once.* Received: 0.01 and"):
        make_dense(optimizer=optimizer, weight_decay=0.01)
    assert make_dense(optimizer=optimizer, weight_decay=0.0)
    assert make_dense(optimizer=("AdamW", {"weight_decay": 0.0}), weight_decay=0.01)


def test_predictions_between_two_averages_are_announced(make_dense, caplog):
    make_dense(optimizer=("SGD", {"use_ema": True, "ema_overwrite_frequency": 7}))
    assert "averages overwrite the weights every 7 updates; in between" in caplog.text
