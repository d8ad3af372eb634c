import keras
import numpy as np
import pytest

from batch import TFModel, as_blocks
from batch.networks.blocks import ResidualBlock
from batch.networks.fade_in import FadeIn
from batch.networks.stochastic_depth import StochasticDepth

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


def own_layers():
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.BatchNormalization(),
        ]
    )
    return [
        keras.layers.Conv2D(4, 3, padding="same"),
        inner,
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
    ]


def functional():
    inputs = keras.Input((8, 8, 1))
    first = keras.layers.Conv2D(4, 3, name="first")(inputs)
    moved = keras.ops.cast(first, "float32") + 1.0
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(moved))
    return as_blocks(keras.Model(inputs, outputs), ["first"])


def wrapped(blocks):
    stem, plain, dropping, classifier = blocks()
    new = ResidualBlock([4, 8], name="new")
    return [stem, plain, StochasticDepth(dropping, survival=0.5), FadeIn(new, 5), classifier]


@pytest.mark.parametrize("kind", ["own", "functional", "wrapped"])
def test_any_network_can_be_trained_in_bfloat16(kind, blocks, examples):
    keras.utils.set_random_seed(0)
    makers = {"own": own_layers, "functional": functional, "wrapped": lambda: wrapped(blocks)}
    layers = makers[kind]()
    config = {"inputs": INPUTS, "network": layers, "precision": "bfloat16", "learning_rate": 0.01}
    model = TFModel(config)
    *computing, classifier = model.network.layers
    inner = [part for layer in computing for part in layer._flatten_layers()]
    convolutions = [part for part in inner if isinstance(part, keras.layers.Conv2D)]
    assert {part.compute_dtype for part in convolutions} == {"bfloat16"}
    assert {weight.dtype for weight in model.network.trainable_weights} == {"float32"}
    assert classifier.compute_dtype == "float32"
    losses = [model.train(*examples) for _ in range(20)]  # in five, what is dropped decides
    assert losses[-1] < losses[0]
    assert model.predict(examples[0]).dtype == np.float32
    assert layers[0].compute_dtype == "float32"  # the user's own are left alone


def test_weights_come_along(blocks):
    layers = blocks()
    keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model = TFModel({"inputs": INPUTS, "network": layers, "precision": "bfloat16"})
    given = [weight for layer in layers for weight in layer.get_weights()]
    assert all(np.array_equal(*pair) for pair in zip(model.network.get_weights(), given))


def test_a_saved_network_keeps_its_precision(examples, tmp_path):
    config = {"inputs": INPUTS, "network": own_layers(), "precision": "bfloat16"}
    model = TFModel({**config, "learning_rate": 0.01})
    model.train(*examples)
    model.save(tmp_path / "model")
    loaded = TFModel({"load": {"path": tmp_path / "model"}})
    assert loaded.network.layers[0].compute_dtype == "bfloat16"
    assert loaded.train(*examples) == model.train(*examples)


class Stubborn(keras.layers.Dense):
    """A layer that computes in float32 whatever its config says."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **{**kwargs, "dtype": "float32"})


def test_a_layer_that_keeps_to_float32_is_named():
    layers = [keras.layers.Flatten(), Stubborn(3, name="stubborn"), keras.layers.Dense(3)]
    with pytest.raises(ValueError, match="stubborn does not take its precision from its config"):
        TFModel({"inputs": INPUTS, "network": layers, "precision": "bfloat16"})
