"""Optimizers for blocks: Keras', with stochastic gradient descent in one pass over each slot."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="resbatch")
class FusedSGD(keras.optimizers.SGD):
    """Keras' SGD, updating each variable and its momentum in one fused operation.

    The arithmetic is Keras' own, v ← μ·v − α·g and then w ← w + v (or, with Nesterov's momentum,
    w ← w + μ·v − α·g). One operation instead of ten reads and writes every slot once, and keeps the
    graph of a training step small, which is what makes a new stage of freezing quick to compile.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        rate = tf.convert_to_tensor(learning_rate)  # read once, not once a variable
        super()._backend_update_step(grads, trainable_variables, rate)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable and its momentum."""
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        slot = self.momentums[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=slot.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


def fused(optimizer):
    """The same optimizer with fused updates where there are some, otherwise the one given."""
    if type(optimizer) is keras.optimizers.SGD:
        return FusedSGD.from_config(optimizer.get_config())
    return optimizer


def copies(optimizer, count):
    """Independent optimizers with the settings of one, in their initial state.

    Raises
    ------
    ValueError
        For settings that mean something else when every block has an optimizer of its own.
    """
    config = optimizer.get_config()
    if config.get("global_clipnorm") is not None:
        raise ValueError(
            "global_clipnorm is the norm over all blocks, but every block has an optimizer of its "
            "own: use clipnorm or clipvalue. "
            f"Received: global_clipnorm={config['global_clipnorm']}"
        )
    if not isinstance(config.get("learning_rate"), (int, float)):
        raise ValueError(
            "The learning rate comes from the schedule: give the optimizer a number. "
            f"Received: {config.get('learning_rate')!r}"
        )
    return [type(optimizer).from_config(config) for _ in range(count)]
