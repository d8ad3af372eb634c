"""Layers made anew: copies of a network's blocks, in another precision, with a new classifier."""

import keras

from batch.networks.blocks import Classifier
from batch.networks.precision import check_bfloat16, in_bfloat16
from batch.networks.stochastic_depth import StochasticDepth


def with_new_classifier(layers, classes, seed=0):
    """The blocks of a trained network, and a new classifier.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer
        The last is a `Classifier` or a dense layer, or ends in one as a Keras model of one layer;
        the new one is like it but for the classes, and without an activation.
    classes : int
        Number of classes.
    seed : int
        Of the new classifier's weights.

    Raises
    ------
    ValueError
        If the last layer is of another kind.
    """
    *blocks, old = layers
    if isinstance(old, keras.Model):
        inner = [one for one in old.layers if not isinstance(one, keras.layers.InputLayer)]
        old = inner[0] if len(inner) == 1 else old
    if isinstance(old, Classifier):
        return [
            *blocks,
            Classifier.from_config({**old.get_config(), "classes": classes, "seed": seed}),
        ]
    if type(old) is keras.layers.Dense:
        initializer = keras.initializers.HeNormal(seed=seed)
        changes = {"units": classes, "kernel_initializer": initializer, "activation": None}
        config = {**old.get_config(), **changes}
        return [*blocks, keras.layers.Dense.from_config(config)]
    raise ValueError(
        "A base must end in a Classifier or a dense layer, in whose place a new one comes; give "
        f"others as 'network', with a classifier of your own. Received: {type(old).__name__}"
    )


def check_network(network, shape, classes):
    """Refuse a network that does not fit the images and classes, or whose blocks pass masks on."""
    masking = [one.name for one in network.layers[:-1] if _mask(one) is not None]
    if masking:
        raise ValueError(
            f"{masking[0]} gives a mask, which does not pass from one block to the next: make one "
            "block, as a keras.Sequential, of it and what uses the mask."
        )
    if tuple(network.input_shape[1:]) != shape:
        raise ValueError(
            f"The network takes images of shape {network.input_shape[1:]}, and 'inputs' says "
            f"{shape}."
        )
    if network.output_shape != (None, classes):
        raise ValueError(
            f"The network must give {classes} logits an image, shape (None, {classes}). Its last "
            f"layer gives {network.output_shape}"
        )


def _mask(layer):
    return getattr(layer.output, "_keras_mask", None)


def refuse_softmax(layer):
    """Refuse a classifier that ends in softmax: the loss takes logits."""
    last = layer.layers[-1] if isinstance(layer, keras.Model) else layer
    softmax = isinstance(last, keras.layers.Softmax)
    if softmax or getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            f"The last block must give logits, and {last.name} ends in softmax: make it without, "
            "as with classifier_activation=None."
        )


def copied(layers, shape, precision="float32"):
    """A network of new layers like those given, with their weights where they have some.

    So one list can serve for several models, and none of them changes the user's layers. Blocks
    with stochastic depth have made no steps yet. With 'bfloat16' they compute in mixed precision;
    with 'float32', as those given do.
    """
    if precision == "bfloat16":
        twins = in_bfloat16(layers)
    else:
        twins = [type(layer).from_config(layer.get_config()) for layer in layers]
    network = keras.Sequential([keras.Input(shape), *twins])
    if precision == "bfloat16":
        check_bfloat16(network.layers[:-1])
    for layer, twin in zip(layers, twins):
        for one, other in zip(*(each._flatten_layers() for each in (layer, twin))):  # noqa: SLF001
            other.trainable = one.trainable
        if layer.built:
            _copy_weights(layer, twin, shape)
        if isinstance(twin, StochasticDepth):
            twin.steps.assign(0)
    return network


def _copy_weights(layer, twin, shape):
    try:
        twin.set_weights(layer.get_weights())
    except ValueError as error:
        raise ValueError(
            f"{layer.name} was made for other images than those of shape {shape}: {error}"
        ) from error
