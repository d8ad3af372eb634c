"""What a training step does with a block."""

import tensorflow as tf

from batch.networks.added_losses import added_losses, regularized, total, weight_penalty
from batch.networks.batch_statistics import batch_statistics, normalizations
from batch.networks.layers import run
from batch.training.depthwise import differentiate_by_shape
from batch.training.updates import Updates

SQUASHING = ("Softmax", "Sigmoid")  # operations


class Block:
    """What a step does with a block: `train`, `infer` and `update`, each traced only once.

    Parameters
    ----------
    layer : keras.layers.Layer
    optimizer : keras.optimizers.Optimizer
        With slots for the layer's trainable variables, or without slots.
    weight_decay : float
        As for `Trainer`.
    frozen_batch_norm : {'inference', 'batch'}
        As for `Trainer`.
    inference_mode : bool
        The block runs in inference mode even while it learns.
    depthwise_gradient : {'tensorflow', 'by_shape'}
        As for `Trainer`.
    penalizes_frozen : bool
        As for `Objective`.

    Attributes
    ----------
    layer : keras.layers.Layer
    varies : bool
        Whether its output for an example depends on the rest of the batch when it is frozen.
    variables : list of variable
        That learn.
    statistics : list of variable
        That move in a step without a gradient, as those of batch normalizations.
    updates : Updates
        Of its weights.
    """

    def __init__(
        self,
        layer,
        optimizer,
        *,
        weight_decay=0.0,
        frozen_batch_norm="inference",
        inference_mode=False,
        depthwise_gradient="tensorflow",
        penalizes_frozen=True,
    ):
        trainable = layer.trainable_variables
        self.layer = layer
        self.variables = [variable.value for variable in trainable]
        self.statistics = [] if inference_mode else moved(layer)
        by_batch = frozen_batch_norm == "batch" and not inference_mode
        norms = normalizations(layer) if by_batch else []
        frozen = [norm for norm in norms if not norm.trainable]
        self.varies = bool(norms)
        by_shape = depthwise_gradient == "by_shape"
        self._train = _traced(layer, not inference_mode, frozen, by_shape)
        self._infer = _traced(layer, False, norms)
        self._penalty = list  # nothing
        if weights := regularized(layer, frozen=penalizes_frozen):
            self._penalty = tf.function(lambda: weight_penalty(weights), autograph=False)
        self.updates = Updates(optimizer, trainable, weight_decay)
        self.update = tf.function(self.updates, autograph=False)

    @property
    def frozen(self):
        """Its forward pass while it is frozen: a concrete function of outputs and what it adds."""
        return self._infer.get_concrete_function()

    def infer(self, features):
        """Its outputs while it is frozen."""
        return self._called(self._infer, features)[0]

    def forward(self, features, rate, is_active):
        """The forward pass of the block; if `is_active` is None, its rate decides which.

        Returns
        -------
        outputs : tensor
        added : list of tensor
            What it adds to the loss that depends on its input: one sum, or nothing.
        """
        if is_active is None:
            outputs, added, logits = self._by_rate(features, rate)
        else:
            traced = self._train if is_active else self._infer
            outputs, added, logits = self._called(traced, features)
        if logits:
            outputs._keras_logits = logits[0]  # noqa: SLF001 Keras' losses look for them
        return outputs, added

    def weight_penalty(self, rate, is_active):
        """What the penalties of its weights add to the loss: one sum, or nothing.

        While the block is frozen, that has no gradient.
        """
        if is_active is None:
            return [tf.where(rate > 0, sum_, tf.stop_gradient(sum_)) for sum_ in self._penalty()]
        return self._penalty()

    def _by_rate(self, features, rate):
        adds, have_logits = zip(*map(_extras, (self._train, self._infer)))
        nothing = [tf.zeros(())] if any(adds) else []

        def active():
            outputs, added, logits = self._called(self._train, features)
            return outputs, added or nothing, logits if all(have_logits) else []

        def frozen():
            # All blocks before it are frozen too, and they need no gradient from it.
            made = self._called(self._infer, features)
            outputs, added, logits = tf.nest.map_structure(tf.stop_gradient, made)
            return outputs, added or nothing, logits if all(have_logits) else []

        return tf.cond(rate > 0, active, frozen)

    def _called(self, traced, features):
        return traced(tf.cast(features, self.layer.input.dtype))

    def learn(self, rate, gradients, is_active):
        """Update the weights; if `is_active` is None, only if the rate is above 0."""
        if is_active is None:
            tf.cond(rate > 0, lambda: self.update(rate, gradients), lambda: None)
        else:
            self.update(rate, gradients)


def moved(layer):
    """The variables of a layer that training moves without a gradient, but for whole numbers."""
    learning = [part for part in layer._flatten_layers() if part.trainable]  # noqa: SLF001
    own = [each.value for part in learning for each in part._non_trainable_variables]  # noqa: SLF001
    return [value for value in own if value.dtype.is_floating]


def _traced(layer, training, by_batch, by_shape=False):
    """The layer's forward pass; its normalizations in `by_batch` use the batch's statistics.

    It returns the outputs, what the layer adds to the loss as from `total`, and a list of the
    logits, if the outputs are a softmax or sigmoid of some. With `by_shape`, depthwise convolutions
    have gradients as from `differentiate_by_shape`.
    """

    def forward(features):
        with batch_statistics(by_batch), added_losses(layer) as losses:
            outputs = run(layer, features, training)
        if by_shape:
            differentiate_by_shape(tf.compat.v1.get_default_graph())
        return outputs, total(losses), _logits(outputs)

    entry = tf.TensorSpec((None, *layer.input.shape[1:]), layer.input.dtype)
    return tf.function(forward, input_signature=[entry], autograph=False)


def _logits(outputs):
    """A list of what outputs are the softmax or sigmoid of; empty if they are none."""
    if hasattr(outputs, "_keras_logits"):
        return [outputs._keras_logits]  # noqa: SLF001
    operation = getattr(outputs, "op", None)
    return list(operation.inputs) if getattr(operation, "type", "") in SQUASHING else []


def _extras(traced):
    """Whether a function from `_traced` adds to the loss, and whether it gives logits."""
    _, added, logits = traced.get_concrete_function().structured_outputs
    return bool(added), bool(logits)
