"""How gradients update the weights of a block, at once or accumulated over several steps."""

import functools
import logging

import tensorflow as tf


class Updates:
    """Updates the weights of a block, by its optimizer.

    With `gradient_accumulation_steps`, the optimizer adds the gradients of so many steps up, and
    updates by their mean. Until then the block holds them.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        With slots for the variables, or without slots.
    variables : list of keras.Variable
        The trainable ones of the block.
    weight_decay : float
        As for `batch.training.trainer.Trainer`.
    """

    def __init__(self, optimizer, variables, weight_decay):
        self.optimizer = optimizer
        self._variables = variables
        self._weight_decay = weight_decay
        self._steps = int(optimizer.gradient_accumulation_steps or 1)
        self._learning = []  # positions of the variables that have gradients

    def make_slots(self):
        """Make the optimizer's slots, unless they are there."""
        if not self.optimizer.built:
            self.optimizer.build(self._variables)

    def __call__(self, rate, gradients):
        """Update the weights at a rate; one that has no gradient (None) stays as it is."""
        self._learning = [at for at, gradient in enumerate(gradients) if gradient is not None]
        if self._learning:
            self.optimizer.learning_rate.assign(rate)
            self._apply([gradients[at] for at in self._learning])

    def means_with(self, gradients):
        """Means of the gradients that the block holds, with those of this step."""
        held = self._steps_held() + 1
        return [
            None
            if gradient is None
            else (gradient + accumulated) / tf.cast(held, accumulated.dtype)
            for gradient, accumulated in zip(gradients, self._accumulated())
        ]

    def scaled(self, gradients, scale):
        """Gradients scaled, and what the block holds too, if this step updates the weights."""
        scale = tf.where(self._is_last(), scale, 1.0)
        for accumulated in self._accumulated():
            accumulated.assign(accumulated * scale)
        return [None if gradient is None else gradient * scale for gradient in gradients]

    def held_means(self):
        """After a step, means of the gradients that the block holds; [] if it holds none."""
        held = int(self._steps_held())
        return [accumulated / held for accumulated in self._accumulated()] if held else []

    def finish(self, scale=1.0):
        """After a step, update by the means of the gradients that the block holds, times `scale`.

        The optimizer counts this as if all the steps to accumulate had been made.
        """
        means = self.held_means()
        if means:
            for accumulated in self._accumulated():
                accumulated.assign(tf.zeros_like(accumulated))
            self._iterations.assign_add(self._steps - 1 - int(self._steps_held()))
            self._apply([means[at] * (scale * self._steps) for at in self._learning])

    def _apply(self, gradients):
        variables = [self._variables[at] for at in self._learning]
        if self._weight_decay:
            decay = self._weight_decay
            if self._steps > 1:  # Keras divides by them
                decay = tf.where(self._is_last(), self._steps * decay, 0.0)
            gradients = [
                gradient + decay * variable.value
                for gradient, variable in zip(gradients, variables)
            ]
        self.optimizer.apply(gradients, variables)

    def _accumulated(self):
        return self.optimizer._accumulated_gradients if self._steps > 1 else []  # noqa: SLF001

    @property
    def _iterations(self):
        return self.optimizer._iterations  # noqa: SLF001 the public property counts updates

    def _steps_held(self):
        """How many steps' gradients are accumulated."""
        return self._iterations % self._steps

    def _is_last(self):
        """Whether the next gradients complete the steps to accumulate."""
        return self._steps_held() == self._steps - 1


def finish(updates, ending, global_clipnorm):
    """Let blocks that will freeze update by what they have accumulated.

    Parameters
    ----------
    updates : list of Updates
        Of all blocks that were active in a step.
    ending : list of Updates
        Of those for which it was the last one.
    global_clipnorm : float or None
        As for `batch.training.step.Steps`: over what all of them hold.
    """
    scale = 1.0
    if global_clipnorm:
        scale = _clip_scale(
            [mean for update in updates for mean in update.held_means()], global_clipnorm
        )
    for update in ending:
        update.finish(scale)


def clipped(updates, gradients, global_clipnorm):
    """Gradients scaled down to a norm over all active blocks.

    With accumulation, it is the norm of the means over the accumulated steps.

    Parameters
    ----------
    updates : list of Updates
        Of the active blocks.
    gradients : list of list of tensor or None
        For each of them.
    global_clipnorm : float or None
        None, or 0: they stay as they are.
    """
    if not global_clipnorm:
        return gradients
    if not updates or not updates[0].optimizer.gradient_accumulation_steps:
        flat, _ = tf.clip_by_global_norm(tf.nest.flatten(gradients), global_clipnorm)
        return tf.nest.pack_sequence_as(gradients, flat)
    means = [update.means_with(of_block) for update, of_block in zip(updates, gradients)]
    scale = _clip_scale(tf.nest.flatten(means), global_clipnorm)
    return [update.scaled(of_block, scale) for update, of_block in zip(updates, gradients)]


def _clip_scale(gradients, clipnorm):
    norm = tf.linalg.global_norm([g for g in gradients if g is not None] or [tf.zeros(())])
    return clipnorm / tf.maximum(norm, clipnorm)


def unscaled(gradients, scale):
    """Gradients of a loss that was multiplied by a scale, or by None, as those of the loss."""
    if scale is None:
        return gradients
    return [
        [None if gradient is None else tf.math.scalar_mul(1 / scale, gradient) for gradient in some]
        for some in gradients
    ]


def check_gradients(layers, gradients):
    """Name the weights that get no gradient, since nothing will move them.

    Parameters
    ----------
    layers : list of keras.layers.Layer
        The active blocks.
    gradients : list of list of tensor or None
        For the trainable variables of each.

    Raises
    ------
    ValueError
        If no weight of these blocks gets one.
    """
    without = [
        f"{variable.path} of block {layer.name}"
        for layer, of_block in zip(layers, gradients)
        for variable, gradient in zip(layer.trainable_variables, of_block)
        if gradient is None
    ]
    if without and len(without) == len(tf.nest.flatten(gradients)):
        raise ValueError(
            f"No weight gets a gradient, so nothing would learn. Received: {', '.join(without)}"
        )
    if without:
        _warn(tuple(without))


@functools.cache
def _warn(without):
    """Log once which weights the loss does not depend on."""
    logging.getLogger(__name__).warning(
        "Weights without a gradient, since the loss does not depend on them, stay as they are: %s.",
        ", ".join(without),
    )
