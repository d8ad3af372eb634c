"""Keras' dtype policies: mixed_bfloat16 trains, mixed_float16 is refused."""

import keras
import numpy as np
import pytest

from batch import BlockModel

LAYERS = {"stem", "inner", "penalty"}


@pytest.fixture
def in_bfloat16(network):
    """A function that makes the network in mixed_bfloat16; its outputs are float32."""
    before = keras.config.dtype_policy()

    def make(everywhere):
        if everywhere:
            keras.config.set_dtype_policy("mixed_bfloat16")
        made = network()
        for layer in made._flatten_layers():
            if layer.name in LAYERS:
                layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
        made.layers[-1].layers[-1].dtype_policy = keras.DTypePolicy("float32")
        return made

    yield make
    keras.config.set_dtype_policy(before)


def trained(model, photos, recorded, **own):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss, metrics=["accuracy"], **own)
    keras.utils.set_random_seed(1)
    seen = recorded()
    history = model.fit(
        *photos, 12, 2, 0, shuffle=False, validation_data=photos, callbacks=[seen]
    ).history
    return seen["loss"], history


@pytest.mark.parametrize(
    ("everywhere", "freeze", "caches"),
    [(True, ["stem", "normalized"], ["off", "memory"]), (False, [], ["auto"])],
    ids=["everywhere, frozen", "in some layers"],
)
def test_losses_are_near_stock_keras(
    in_bfloat16, photos, recorded, everywhere, freeze, caches, bits_in_any_place
):
    stock, found = in_bfloat16(everywhere), []
    for layer in stock.layers:
        layer.trainable = layer.name not in freeze
    stock_losses, stock_history = trained(stock, photos, recorded)
    for cache in caches:
        model = BlockModel(in_bfloat16(everywhere))
        assert model.get_layer("stem").compute_dtype == "bfloat16"
        losses, history = trained(model, photos, recorded, freeze=freeze, cache=cache)
        np.testing.assert_allclose(losses, stock_losses, rtol=0.02)
        np.testing.assert_allclose(history["val_loss"], stock_history["val_loss"], rtol=0.02)
        found.append((losses, history["val_loss"]))
    assert model._training.trainer.cache.hits == (60 if freeze else 0)
    assert found[0] == found[-1]
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_mixed_float16_everywhere_is_refused(network):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.raises(ValueError, match=r"dtype policy must be .* Received: 'mixed_float16'"):
            BlockModel(network())
    finally:
        keras.config.set_dtype_policy(before)
