"""Fading in: a new block replaces an old path little by little."""

import keras
import tensorflow as tf

from batch.checks import optional, positive_whole
from batch.networks import known
from batch.networks.arguments import a_layer, check_dtype, layers_of
from batch.networks.layers import Block, run


@keras.saving.register_keras_serializable(package="resbatch")
class FadeIn(Block):
    """A new block beside an old path: (1 − α)·old + α·new, α rising linearly from 0 to 1.

    α is 0 in the first training step and grows by 1/`iterations` in each step. So the network first
    computes the same as with the old path alone, and in the end the same as with the new block
    alone. Then `faded_in` puts the new block in the place of this layer.

    Parameters
    ----------
    new : keras.layers.Layer
        The block to fade in.
    iterations : int
        Training steps over which α rises.
    old : keras.layers.Layer, optional
        It takes the same inputs and gives the same shape. By default it is the identity.

    Attributes
    ----------
    steps : variable, int64
        Training steps made; saved with the weights. In inference mode, and so in a frozen block,
        no step is counted: α stays as it is.

    Raises
    ------
    ValueError
        If `iterations` is no whole number above 0, or the two paths give different shapes.

    Notes
    -----
    Both paths are always computed. While α is 0 the new block gets no gradient; its
    batch normalizations, if any, learn their statistics from the first step on.

    References
    ----------
    Karras et al., Progressive Growing of GANs, 2018, figure 2.

    Examples
    --------
    Before training, α is 0, and what comes in goes out.

    >>> new = FadeIn(keras.layers.Dense(3), iterations=100)
    >>> new(keras.ops.ones((1, 3))).numpy().tolist()
    [[1.0, 1.0, 1.0]]
    """

    def __init__(self, new, iterations, old=None, **kwargs):
        a_layer("new", new)
        optional(a_layer, "old", old)
        check_dtype(kwargs, "new", new)
        super().__init__(**{"name": new.name, "dtype": new.dtype_policy, **kwargs})
        self.new = new
        self.old = old
        self.iterations = positive_whole("iterations", iterations)

    def build(self, input_shape):
        for layer in filter(None, (self.old, self.new)):
            if not layer.built:
                layer.build(input_shape)
        self.steps = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, name="steps"
        )
        super().build(input_shape)

    @property
    def alpha(self):
        """The new block's share after the steps made, a tensor from 0 to 1."""
        steps = tf.minimum(tf.cast(self.steps, tf.float32), float(self.iterations))
        return steps / float(self.iterations)

    def call(self, inputs, training=None):
        old = inputs if self.old is None else run(self.old, inputs, training)
        new = run(self.new, inputs, training)
        if old.shape[1:] != new.shape[1:]:
            raise ValueError(
                f"To fade {self.new.name} in, the old path must give what it gives, shape "
                f"{new.shape}. Received: {old.shape}"
            )
        alpha = tf.cast(self.alpha, new.dtype)
        if training:
            self.steps.assign_add(1)
        return (1 - alpha) * old + alpha * new

    def get_config(self):
        layers = {"new": self.new, "old": self.old}
        return {
            **super().get_config(),
            "iterations": self.iterations,
            **{
                name: None if layer is None else keras.saving.serialize_keras_object(layer)
                for name, layer in layers.items()
            },
        }

    @classmethod
    def from_config(cls, config):
        layers = {
            name: None if config[name] is None else known.deserialize(config[name])
            for name in ("new", "old")
        }
        return cls(**{**config, **layers})


def faded_in(layers):
    """The layers with each `FadeIn` replaced by its new block, which computes the same.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer

    Returns
    -------
    list of keras.layers.Layer
        For the `network` of a model's config.

    Raises
    ------
    ValueError
        If α of a layer is not 1 yet.
    """
    for layer in layers_of("layers", layers):
        if isinstance(layer, FadeIn) and float(layer.alpha) < 1:
            raise ValueError(
                f"{layer.name} is faded in after {layer.iterations} training steps. "
                f"Received: it after {int(layer.steps)}"
            )
    return [layer.new if isinstance(layer, FadeIn) else layer for layer in layers]
