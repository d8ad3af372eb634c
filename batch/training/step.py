"""A block's part in a training step, and the compiled steps: one for each set of active blocks."""

import itertools

import tensorflow as tf

from batch.feature_cache.stores import as_features
from batch.networks.batch_statistics import batch_statistics, normalizations
from batch.networks.layers import run
from batch.training.losses import weighted_mean


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
        *,
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


class Steps:
    """The steps of a trainer, compiled when they are first asked for.

    Parameters
    ----------
    blocks : list of Block
        Of a network, the classifier included.
    losses : callable
        From labels and logits to losses, compiled.
    preprocessing : Preprocessing
    global_clipnorm : float or None
        Norm that the gradients of all active blocks together are scaled down to.
    norms : bool
        Whether steps give the norms of the blocks' gradients.
    """

    def __init__(self, blocks, losses, preprocessing, *, global_clipnorm=None, norms=False):
        self._blocks = blocks
        self._losses = losses
        self._preprocessing = preprocessing
        self._global_clipnorm = global_clipnorm
        self._norms = norms
        self._compiled = {}

    def __len__(self):
        return len(self._compiled)

    def __contains__(self, key):
        return key in self._compiled

    def compiled(self, images, active, *, weighted=False, start=0):
        """The step for a set of active blocks, compiled when first asked for.

        Parameters
        ----------
        images : tensor or TensorSpec, shape (N, H, W, C)
            Or features. Their shape and type are what the step is compiled for.
        active : tuple of bool or None
            One for each block, the classifier included. None: active where its rate is above 0,
            and frozen where it is 0, in which case all blocks before it must be frozen too.
        weighted : bool
            Whether it takes the weights of the examples too.
        start : int
            Leading blocks whose features it takes instead of images, as the cache stores them.

        Returns
        -------
        callable
            From images, labels, rows of the images, rows of the labels, rates `(blocks + 1,)`,
            iteration and, if `weighted`, weights `(n,)` to loss, logits and, if it
            is to give them, the norms of the blocks' gradients `(blocks + 1,)`.
        """

        # A default would make TensorFlow put an error together in every call, and recover.
        def step(images, labels, places, rows, rates, iteration, *weights):
            features, labels = tf.gather(images, places), tf.gather(labels, rows)
            if start:
                features = as_features(features)
            else:
                features = self._preprocessing.training(features, iteration)
            return self.trained(active, features, labels, rates, start, *weights)

        key = step_key(images, active, weighted=weighted, start=start)
        if key not in self._compiled:
            stored = tf.TensorSpec((None, *images.shape[1:]), images.dtype)
            whole = tf.TensorSpec((None,), tf.int64)
            rates = tf.TensorSpec((len(active),), tf.float32)
            iteration = tf.TensorSpec((), tf.int32)
            weights = [tf.TensorSpec((None,), tf.float32)] * weighted
            self._compiled[key] = tf.function(step, autograph=False).get_concrete_function(
                stored, whole, whole, whole, rates, iteration, *weights
            )
        return self._compiled[key]

    def trained(self, active, features, labels, rates, start=0, weights=None):
        """A step from features after the first `start` blocks on; the update on the way.

        The arguments are otherwise those of what `compiled` gives.
        """
        blocks = list(zip(self._blocks, tf.unstack(rates), active))
        prefix = leading(active)
        for block, _, _ in blocks[start:prefix]:
            features = block.infer(features)
        learning = [one for one in blocks if one[2] is not False]
        variables = [block.variables for block, _, _ in learning]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # The input is watched although nobody asks for its gradient: so the first active
            # block's backward pass is the one traced before. What is not asked for gets pruned.
            tape.watch([features, variables])
            for block, rate, is_active in blocks[prefix:]:
                features = block.forward(features, rate, is_active)
            logits = tf.cast(features, tf.float32)
            loss = weighted_mean(self._losses(labels, logits), weights)
        gradients = tape.gradient(loss, variables)
        for (block, rate, is_active), gradient in zip(learning, self._clipped(gradients)):
            block.learn(rate, gradient, is_active)
        if not self._norms:
            return loss, logits
        norms = {id(one[0]): tf.linalg.global_norm(own) for one, own in zip(learning, gradients)}
        return loss, logits, tf.stack([norms.get(id(one), 0.0) for one in self._blocks])

    def _clipped(self, gradients):
        """Gradients scaled down to the optimizer's `global_clipnorm` over all active blocks."""
        if self._global_clipnorm is None:
            return gradients
        flat, _ = tf.clip_by_global_norm(tf.nest.flatten(gradients), self._global_clipnorm)
        return tf.nest.pack_sequence_as(gradients, flat)


def step_key(images, active, *, weighted, start):
    """What tells a compiled step from others; the arguments are those of `Steps.compiled`."""
    return images.dtype, active, weighted, start


def leading(active):
    """How many blocks in front are frozen whatever the rates: those flagged False."""
    return sum(1 for _ in itertools.takewhile(lambda is_active: is_active is False, active))
