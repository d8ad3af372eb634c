"""One block of a network in a training step."""

import tensorflow as tf

from batch.networks.batch_statistics import batch_statistics, normalizations
from batch.networks.layers import run


class Block:
    """What a step does with one block, each part traced once: `train`, `infer` and `update`.

    Parameters
    ----------
    layer : keras.layers.Layer
    optimizer : keras.optimizers.Optimizer
        Built for the layer's trainable variables.
    weight_decay : float
        As for `Trainer`.
    frozen_batch_norm : {'inference', 'batch'}
        As for `Trainer`.
    inference_mode : bool
        Run in inference mode while it learns, too.

    Attributes
    ----------
    layer : keras.layers.Layer
    varies : bool
        Whether what it gives for an example, frozen, depends on the rest of the batch.
    """

    def __init__(
        self,
        layer,
        optimizer,
        weight_decay=0.0,
        frozen_batch_norm="inference",
        inference_mode=False,
    ):
        trainable = layer.trainable_variables
        self.layer = layer
        self.variables = [variable.value for variable in trainable]
        by_batch = frozen_batch_norm == "batch" and not inference_mode
        norms = normalizations(layer) if by_batch else []
        frozen = [norm for norm in norms if not norm.trainable]
        self.varies = bool(norms)
        self._train = _traced(layer, not inference_mode, frozen)
        self._infer = _traced(layer, False, norms)

        def update(rate, gradients):
            if gradients:
                if weight_decay:
                    gradients = [
                        gradient + weight_decay * variable
                        for gradient, variable in zip(gradients, self.variables)
                    ]
                optimizer.learning_rate.assign(rate)
                optimizer.apply(gradients, trainable)

        self.update = tf.function(update, autograph=False)

    def train(self, features):
        """What it gives in training."""
        return self._train(tf.cast(features, self.layer.input.dtype))

    def infer(self, features):
        """What it gives when it is frozen."""
        return self._infer(tf.cast(features, self.layer.input.dtype))

    def forward(self, features, rate, is_active):
        """Forward pass of an active or a frozen block, or (None) of what its rate says it is."""
        if is_active is None:
            # Frozen, it passes no gradient on: all before it are frozen too.
            return tf.cond(
                rate > 0,
                lambda: self.train(features),
                lambda: tf.stop_gradient(self.infer(features)),
            )
        return self.train(features) if is_active else self.infer(features)

    def learn(self, rate, gradients, is_active):
        """Update the weights, if the block is active."""
        if is_active is None:
            tf.cond(rate > 0, lambda: self.update(rate, gradients), lambda: None)
        else:
            self.update(rate, gradients)


def _traced(layer, training, by_batch):
    """The layer's forward pass, with some of its normalizations by the batch's statistics."""

    def forward(features):
        with batch_statistics(by_batch):
            return run(layer, features, training)

    entry = tf.TensorSpec((None, *layer.input.shape[1:]), layer.input.dtype)
    return tf.function(forward, input_signature=[entry], autograph=False)
