"""What fit can't do here is refused in compile, by name."""

import keras
import pytest

from batch import BlockModel

LOSS = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps_per_execution": 2}, "steps_per_execution. Received: 2"),
        ({"jit_compile": True}, "jit_compile. Received: True"),
        ({"run_eagerly": True}, "run_eagerly. Received: True"),
        ({"loss_weights": [1.0]}, "loss_weights. Received: "),
        ({"loss": None}, "loss. Received: None"),
        ({"loss": {"a": LOSS}}, "loss. Received: "),
        ({"loss": [LOSS, LOSS]}, "loss. Received: "),
        ({"optimizer": keras.optimizers.SGD(use_ema=True)}, "use_ema of an optimizer. Received:"),
        ({"loss": keras.losses.MeanSquaredError(reduction="none")}, "reduction. Received: 'none'"),
        (
            {"optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())},
            "Received: LossScaleOptimizer, which has apply",
        ),
        (
            {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9))}
            | {"schedule": ("Constant", {"learning_rate": 0.1})},
            "Give 'schedule' or a schedule of the optimizer's rate, not both. Received: 'Cosine",
        ),
        ({"freeze": ["nothing"]}, "freeze: 'nothing' matches nothing. Expected: stem, "),
        ({"inference_mode": ["nothing"]}, "inference_mode: 'nothing' matches nothing."),
        ({"schedule": ("FreezOut", {})}, "Did you mean 'FreezeOut'"),
        ({"frozen_batch_norm": "never"}, "frozen_batch_norm must be inference or batch"),
        ({"cache": "disk"}, "cache"),
    ],
)
def test_compile_refuses(network, arguments, message):
    model = BlockModel(network())
    with pytest.raises(ValueError, match=message):
        model.compile(**{"optimizer": "sgd", "loss": LOSS, **arguments})
    assert not model.compiled
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.parametrize("name", ["call", "train_step", "test_step", "compute_loss"])
def test_methods_that_training_would_not_call_are_refused(network, name):
    own = type("Own", (BlockModel,), {name: lambda self, *_, **__: None})(network())
    with pytest.raises(ValueError, match=rf"so {name}\(\) of Own would not be called: put it into"):
        own.compile("sgd", LOSS)


def test_random_layers_that_freezing_switches_off_are_said(caplog):
    layers = [keras.layers.Dense(3, name="inner"), keras.layers.Dropout(0.5, name="drop")]
    blocks = [keras.Sequential(layers, name="first"), keras.layers.Dense(2)]
    model = BlockModel([keras.Input((4,)), *blocks])
    model.compile("sgd", LOSS)
    assert not caplog.text
    blocks[0].trainable = False
    model.compile("sgd", LOSS)
    assert "these layers do what they do in inference: drop in first." in caplog.text


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
        keras.callbacks.ReduceLROnPlateau(),
    ],
)
def test_two_that_set_the_rate_are_refused(network, photos, callback):
    model = BlockModel(network())
    model.compile("sgd", LOSS, schedule=("Constant", {"learning_rate": 0.1}))
    with pytest.raises(ValueError, match="sets the optimizer's rate, and 'schedule' those of the"):
        model.fit(*photos, callbacks=[callback], verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [keras.layers.Dense(3)], "a block and a classifier at least"),
        (lambda: "a network", "is no file"),
        (lambda: keras.Model(*[keras.Input((3,))] * 2), "can be cut after: none. Received: none"),
    ],
)
def test_what_is_no_network_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        BlockModel(make())


def test_float16_is_refused(network):
    layers = [keras.layers.Dense(3, dtype="mixed_float16"), keras.layers.Dense(3)]
    model = BlockModel(keras.Sequential([keras.Input((3,)), *layers]))
    with pytest.raises(ValueError, match="mixed_float16"):
        model.compile("sgd", LOSS)
