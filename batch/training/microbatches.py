"""Gradients of a batch, summed over its parts: the memory of a part, the result of the whole."""

import tensorflow as tf

from batch.checks import optional, positive_whole
from batch.networks.fade_in import FadeIn
from batch.networks.stochastic_depth import StochasticDepth

MOST = 2**31 - 1  # TensorFlow counts the examples of a batch in 32 bits


def part_size(name, value):
    """A checked number of examples that go through the passes at a time; None for all.

    False is none too, as in BatchFlow.
    """
    return None if value is False else optional(positive_whole, name, value, MOST)


class Microbatches:
    """Splits a batch into parts, and sums what the passes forward and backward give for them.

    Loss, gradients and logits are those of the whole batch, but for rounding, and for what layers
    do with a batch: a batch normalization uses the statistics of each part, and updates its moving
    ones once a part.

    Parameters
    ----------
    size : int
        Examples of a part; the last part may have fewer.
    layers : sequence of keras.layers.Layer
        The blocks. Layers in them that count training steps count the batch as one.

    Raises
    ------
    ValueError
        If a layer draws for each example, since it would draw the same for every part.
    """

    def __init__(self, size, layers):
        self.size = size
        inner = [layer for block in layers for layer in block._flatten_layers()]  # noqa: SLF001
        counting = [layer for layer in inner if isinstance(layer, (FadeIn, StochasticDepth))]
        if any(getattr(layer, "mode", None) == "sample" for layer in counting):
            raise ValueError(
                "With microbatch_size, the mode of stochastic depth must be batch: each part of a "
                "batch would draw the same. Received: sample"
            )
        self._counters = [layer.steps.value for layer in counting]

    def summed(self, passes, features, labels, weights, variables):
        """What `passes` would give for the whole batch.

        Parameters
        ----------
        passes : callable
            From features, labels and weights of some examples to their losses (a list of one or
            two), their logits `(n, classes)`, and gradients, None for variables that have none.
        features, labels, weights
            Of the batch; the weights may be None.
        variables : list of list of variable
            Those that the gradients are for.
        """
        count = tf.shape(labels)[0]
        counted = tf.ones([count]) if weights is None else weights
        before = [counter.read_value() for counter in self._counters]
        without = []  # whether variables have no gradient, as the trace of `part` finds out

        def part(number, losses, logits, sums):
            for counter, steps in zip(self._counters, before):
                counter.assign(steps)
            rows = tf.range(number * self.size, tf.minimum((number + 1) * self.size, count))
            some = [None if x is None else tf.gather(x, rows) for x in (features, labels, weights)]
            of_part, part_logits, gradients = passes(*some)
            share = tf.math.divide_no_nan(
                tf.reduce_sum(tf.gather(counted, rows)), tf.reduce_sum(counted)
            )
            losses += share * tf.stack([of_part[0], of_part[-1]])
            gradients = tf.nest.flatten(gradients)
            without[:] = [gradient is None for gradient in gradients]
            sums = [
                total if gradient is None else total + share * tf.convert_to_tensor(gradient)
                for total, gradient in zip(sums, gradients)
            ]
            return number + 1, losses, logits.write(number, part_logits), sums

        parts = -(-count // self.size)
        logits = tf.TensorArray(tf.float32, parts, infer_shape=False)
        zeros = [tf.zeros_like(variable) for variable in tf.nest.flatten(variables)]
        _, losses, logits, sums = tf.while_loop(
            lambda number, *_: number < parts,
            part,
            (tf.constant(0), tf.zeros([2]), logits, zeros),
            parallel_iterations=1,
        )
        gradients = [None if none else total for none, total in zip(without, sums)]
        gradients = tf.nest.pack_sequence_as(variables, gradients)
        return tf.unstack(losses), logits.concat(), gradients
