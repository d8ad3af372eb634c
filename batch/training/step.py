"""What a training step does with a block, and the compiled steps: one a set of active blocks."""

import itertools

import tensorflow as tf

from batch.feature_cache.stores import as_features
from batch.networks.batch_statistics import batch_statistics, normalizations
from batch.networks.layers import run
from batch.training.losses import weighted_mean
from batch.training.microbatches import Microbatches


class Block:
    """What a step does with a block: `train`, `infer` and `update`, each traced only once.

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
        The block runs in inference mode even while it learns.

    Attributes
    ----------
    layer : keras.layers.Layer
    varies : bool
        Whether its output for an example depends on the rest of the batch when it is frozen.
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
        """Its outputs while it is active."""
        return self._train(tf.cast(features, self.layer.input.dtype))

    def infer(self, features):
        """Its outputs while it is frozen."""
        return self._infer(tf.cast(features, self.layer.input.dtype))

    def forward(self, features, rate, is_active):
        """The forward pass of the block; if `is_active` is None, its rate decides which."""
        if is_active is None:
            # If it is frozen, so are all blocks before it, and they need no gradient from it.
            return tf.cond(
                rate > 0,
                lambda: self.train(features),
                lambda: tf.stop_gradient(self.infer(features)),
            )
        return self.train(features) if is_active else self.infer(features)

    def learn(self, rate, gradients, is_active):
        """Update the weights; if `is_active` is None, only if the rate is above 0."""
        if is_active is None:
            tf.cond(rate > 0, lambda: self.update(rate, gradients), lambda: None)
        else:
            self.update(rate, gradients)


def _traced(layer, training, by_batch):
    """The layer's forward pass; its normalizations in `by_batch` use the batch's statistics."""

    def forward(features):
        with batch_statistics(by_batch):
            return run(layer, features, training)

    entry = tf.TensorSpec((None, *layer.input.shape[1:]), layer.input.dtype)
    return tf.function(forward, input_signature=[entry], autograph=False)


class Steps:
    """The steps of a trainer, each compiled when it is first needed.

    Parameters
    ----------
    blocks : list of Block
        Of a network, the classifier included.
    losses : callable
        From labels and logits to losses, compiled.
    preprocessing : Preprocessing
    global_clipnorm : float or None
        Largest norm of the gradients of all active blocks together; larger ones are scaled down.
    norms : bool
        Whether steps also return the norms of the blocks' gradients.
    microbatch_size : int, optional
        Examples that go through the passes at a time; all by default.
    """

    def __init__(
        self,
        blocks,
        losses,
        preprocessing,
        *,
        global_clipnorm=None,
        norms=False,
        microbatch_size=None,
    ):
        self._blocks = blocks
        self._losses = losses
        self._preprocessing = preprocessing
        self._global_clipnorm = global_clipnorm
        self._norms = norms
        self._parts = None
        if microbatch_size is not None:
            self._parts = Microbatches(microbatch_size, [block.layer for block in blocks])
        self._compiled = {}

    def __len__(self):
        return len(self._compiled)

    def __contains__(self, key):
        return key in self._compiled

    def compiled(self, images, active, *, weighted=False, start=0):
        """The step for a set of active blocks, compiled when it is first needed.

        Parameters
        ----------
        images : tensor or TensorSpec, shape (N, H, W, C)
            Or features. The step is compiled for their shape and type.
        active : tuple of bool or None
            One for each block, the classifier included. None: the block is active if its rate is
            above 0. If its rate is 0, it is frozen, and all blocks before it must be frozen too.
        weighted : bool
            Whether the step also takes weights of the examples.
        start : int
            If it is above 0, the step takes features after so many leading blocks in place of
            images, as the cache stores them.

        Returns
        -------
        callable
            From images, labels, rows of the images, rows of the labels, rates `(blocks + 1,)`,
            iteration and, if `weighted`, weights `(n,)` to loss, logits and, with `norms`, the
            norms of the blocks' gradients `(blocks + 1,)`. It takes them by position only.
        """

        # With a default for the weights, TensorFlow would raise and catch an error in every call.
        def step(images, labels, image_rows, label_rows, rates, iteration, *weights):
            features, labels = tf.gather(images, image_rows), tf.gather(labels, label_rows)
            if start:
                features = as_features(features)
            else:
                features = self._preprocessing.training(features, iteration)
            weights = weights[0] if weights else None
            return self.trained(active, features, labels, rates=rates, start=start, weights=weights)

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

    def trained(self, active, features, labels, *, rates, start=0, weights=None):
        """The body of a step: passes forward and backward, and the update.

        Parameters
        ----------
        active, start
            As for `compiled`.
        features : tensor, shape (n, …)
            What the block number `start` takes.
        labels, rates, weights
            As for the step that `compiled` returns; the labels are already gathered.
        """
        blocks = list(zip(self._blocks, tf.unstack(rates), active))
        learning = [(block, rate, flag) for block, rate, flag in blocks if flag is not False]
        variables = [block.variables for block, _, _ in learning]

        def passes(features, labels, weights):
            return self._passes(blocks[start:], features, labels, weights, variables=variables)

        if self._parts is None:
            loss, logits, gradients = passes(features, labels, weights)
        else:
            loss, logits, gradients = self._parts.summed(
                passes, features, labels, weights, variables
            )
        for (block, rate, is_active), gradient in zip(learning, self._clipped(gradients)):
            block.learn(rate, gradient, is_active)
        if not self._norms:
            return loss, logits
        norms = {
            id(block): tf.linalg.global_norm(of_block)
            for (block, _, _), of_block in zip(learning, gradients)
        }
        return loss, logits, tf.stack([norms.get(id(block), 0.0) for block in self._blocks])

    def _passes(self, blocks, features, labels, weights, *, variables):
        """The passes forward and backward: loss, logits, and gradients for the variables.

        `blocks` are triples of a block, its rate and its flag, as in `compiled`.
        """
        prefix = leading([is_active for _, _, is_active in blocks])
        for block, _, _ in blocks[:prefix]:
            features = block.infer(features)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # The input's gradient is not needed, but it is watched: so the first active block
            # uses the backward pass that is traced already. TensorFlow prunes what is not needed.
            tape.watch([features, variables])
            for block, rate, is_active in blocks[prefix:]:
                features = block.forward(features, rate, is_active)
            logits = tf.cast(features, tf.float32)
            loss = weighted_mean(self._losses(labels, logits), weights)
        return loss, logits, tape.gradient(loss, variables)

    def _clipped(self, gradients):
        """Gradients scaled down to the optimizer's `global_clipnorm` over all active blocks."""
        if self._global_clipnorm is None:
            return gradients
        flat, _ = tf.clip_by_global_norm(tf.nest.flatten(gradients), self._global_clipnorm)
        return tf.nest.pack_sequence_as(gradients, flat)


def step_key(images, active, *, weighted, start):
    """The key of a compiled step; the arguments are those of `Steps.compiled`."""
    return images.dtype, active, weighted, start


def leading(active):
    """How many leading blocks are frozen whatever the rates are: those flagged False."""
    return sum(1 for _ in itertools.takewhile(lambda is_active: is_active is False, active))
