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
