"""Optimizers for blocks: Keras' own, with SGD that reads and writes each slot only once."""

import keras
import numpy as np
import tensorflow as tf

from batch.checks import check_arguments
from batch.spelling import did_you_mean


@keras.saving.register_keras_serializable(package="resbatch")
class FusedSGD(keras.optimizers.SGD):
    """Keras' SGD, updating each variable and its momentum in one fused operation.

    The arithmetic is Keras' own: v ← μ·v − α·g, then w ← w + v or, with Nesterov's momentum,
    w ← w + μ·v − α·g. One operation in place of ten keeps the graph of a training step small, so
    that a new stage of freezing is quick to compile.
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
    """The optimizer with fused updates if it is Keras' SGD, otherwise as it is."""
    if type(optimizer) is keras.optimizers.SGD:
        return FusedSGD(**{**optimizer.get_config(), "learning_rate": rate_of(optimizer)})
    return optimizer


def copies(optimizer, count):
    """New optimizers with the settings of the given one, in their initial state.

    The schedule sets their learning rates. They do not clip to a `global_clipnorm`, since that is a
    norm over all blocks: the trainer does it.
    """
    config = {**optimizer.get_config(), "global_clipnorm": None}
    if not isinstance(config.get("learning_rate"), (int, float)):
        config["learning_rate"] = 0.0
    return [type(optimizer).from_config(config) for _ in range(count)]


def rate_of(optimizer):
    """The learning rate that an optimizer was given: a number, or a Keras schedule.

    Raises
    ------
    ValueError
        If it is a callable of another kind.
    """
    rate = optimizer._learning_rate  # noqa: SLF001 the public property is the value of now
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return rate
    if callable(rate):
        raise ValueError(
            "The optimizer's learning rate must be a number or a Keras learning-rate schedule. "
            f"Received: {rate!r}"
        )
    # Keras keeps a number as a float32; the shortest form of that is what was given.
    return float(str(np.float32(rate)))


def make_optimizer(spec):
    """A Keras optimizer from its name, `(name, arguments)`, a dict with a `name`, or itself."""
    if isinstance(spec, keras.optimizers.Optimizer):
        return fused(spec)
    if isinstance(spec, dict):
        arguments = dict(spec)
        name = arguments.pop("name", None)
    elif isinstance(spec, (tuple, list)) and len(spec) == 2:
        name, arguments = spec[0], dict(spec[1])
    else:
        name, arguments = spec, {}
    makers = {
        key.lower(): value
        for key, value in vars(keras.optimizers).items()
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
    }
    if not isinstance(name, str) or name.lower() not in makers:
        names = [maker.__name__ for maker in makers.values()]
        hint = did_you_mean(name, names) if isinstance(name, str) else ""
        raise ValueError(
            "optimizer must be a Keras optimizer, its name, (name, arguments), or a dict with a "
            f"name. Received: {spec!r}{hint}"
        )
    check_arguments(makers[name.lower()], arguments, f"optimizer '{name}'")
    return fused(makers[name.lower()](**arguments))
