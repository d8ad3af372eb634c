"""One training step: a forward pass, one gradient pass, and an optimizer for every block.

The step is compiled once for each set of active blocks. What stands before the first active block
runs in inference mode, outside the gradient tape. A frozen block after it runs in inference mode
too and passes gradients on, but gets none: TensorFlow prunes what nobody reads from the executed
graph. Frozen blocks leave the optimizer, so that neither weights, slots nor statistics move. Blocks
are frozen by a rate of 0 from the schedule, or for good where they have nothing to train
(`batch.freezing`).

Every block is traced once, as a function of its own, and the steps call these functions; that makes
entering a new stage cost about the time of a step or two instead of five to ten. With dozens of
blocks, stages share steps in which conditionals decide what is frozen (`batch.planning`).
"""

import itertools

import numpy as np
import tensorflow as tf

from batch.block import Block
from batch.checks import one_of
from batch.flops import block_costs
from batch.freezing import can_learn
from batch.losses import compiled_loss, weighted_mean
from batch.optimizers import copies
from batch.planning import plan_steps
from batch.prefix_cache import Batch, PrefixCache, as_features
from batch.preprocessing import Preprocessing
from batch.schedules import leading_frozen, observes
from batch.stages import iterations_left, stages

FEW = 8  # blocks; with no more than these, sharing steps is not worth planning


class TrainingError(RuntimeError):
    """Training cannot go on: the loss is not finite."""


class Trainer:
    """Trains the blocks of a network at the rates of a schedule.

    Parameters
    ----------
    network : keras.Sequential
        Its layers are the blocks: stem first, classifier, which gives logits, last.
    optimizer : keras.optimizers.Optimizer
        Each block gets a copy of it.
    schedule : callable
        From the iteration to the rates of the blocks, shape `(blocks,)`; 0 is frozen.
    loss : callable
        From labels `(n,)` and logits `(n, classes)` to the losses `(n,)` of the examples, as
        `batch.losses.cross_entropy`.
    preprocessing : Preprocessing, optional
        What happens to images before the first block; scaling alone by default.
    weight_decay : float
        λ of an L2 penalty ½λ‖w‖², whose gradient λ·w is added to that of every trainable variable
        of the active blocks, as PyTorch's optimizers do it: after clipping to a `global_clipnorm`,
        scales and offsets of normalizations included. It is in no reported loss, and never moves a
        frozen block.
    frozen_batch_norm : {'inference', 'batch'}
        How frozen batch normalizations normalize in training: by their moving statistics, or by
        those of the batch. Neither moves the moving statistics.
    inference_mode : collection of str
        Names of blocks that run in inference mode while they learn, too.
    cache : str or float
        Where to keep what leading frozen blocks compute, as for `PrefixCache`.

    Attributes
    ----------
    iteration : int
        Steps made so far. Together with the weights, the slots of the optimizers and the state of a
        schedule that observes, this is all the state there is.
    frozen : int
        Leading blocks that were frozen in the last step.
    rates : ndarray, shape (blocks + 1,), or None
        Rates of the last step, the classifier's last; 0 is frozen.
    learns : list of bool
        Whether each block and, last, the classifier may learn, or is frozen for good.
    cache : PrefixCache
        What leading frozen blocks computed, example by example.
    groups : list of (int, int), or None
        `(first, last)`: stages with first … last leading frozen blocks that share a step, planned
        in the first step (`batch.planning.plan_steps`) unless set before; `[]` for none.
    """

    def __init__(
        self,
        network,
        optimizer,
        schedule,
        loss,
        preprocessing=None,
        weight_decay=0.0,
        frozen_batch_norm="inference",
        inference_mode=(),
        cache="auto",
    ):
        one_of("frozen_batch_norm", frozen_batch_norm, ("inference", "batch"))
        tf.config.experimental.enable_op_determinism()
        self.network = network
        self.schedule = schedule
        self.preprocessing = preprocessing or Preprocessing()
        self.optimizers = copies(optimizer, len(network.layers))
        self._global_clipnorm = optimizer.global_clipnorm
        for one, layer in zip(self.optimizers, network.layers):
            one.build(layer.trainable_variables)
        self.iteration = 0
        self.frozen = 0
        self.rates = None
        self.learns = [can_learn(layer) for layer in network.layers]
        self._last_loss = None
        self._compiled = {}
        self.groups = None
        self._blocks = [
            Block(layer, one, weight_decay, frozen_batch_norm, layer.name in inference_mode)
            for layer, one in zip(network.layers, self.optimizers)
        ]
        self._losses = compiled_loss(loss, network.outputs[0])
        self.cache = PrefixCache(self._blocks, self.preprocessing, cache)

    @property
    def blocks(self):
        """Number of blocks, the classifier not counted."""
        return len(self.network.layers) - 1

    def rates_at(self, iteration):
        """Rates of the blocks and, last, the classifier at an iteration, shape `(blocks + 1,)`.

        The classifier follows the last block; what is frozen for good has rate 0.

        Raises
        ------
        ValueError
            If the schedule does not give a rate for each block.
        """
        rates = np.asarray(self.schedule(iteration), dtype=np.float64)
        if rates.shape != (self.blocks,) or not np.isfinite(rates).all() or (rates < 0).any():
            raise ValueError(
                f"The schedule must give {self.blocks} finite rates of 0 or more. "
                f"Received at iteration {iteration}: {rates}"
            )
        return np.where(self.learns, np.append(rates, rates[-1]), 0.0)

    def step(self, images, labels, indices, weights=None, numbers=None):
        """Train on some examples.

        Parameters
        ----------
        images : tensor, shape (N, H, W, C)
            `uint8`, which the step divides by 255, or numbers that it takes as they are.
        labels : tensor, shape (N,), int64
        indices : array_like of int, shape (n,)
            Which rows to train on.
        weights : array_like, shape (n,), optional
            How much each of these examples counts: the loss is Σ wᵢ·lᵢ / Σ wᵢ.
        numbers : ndarray, shape (n,), optional
            What tells each of these examples from all others, for the cache. Without them, their
            rows do as long as the very same images come again.

        Returns
        -------
        loss : float
            The (weighted) mean loss over these rows, before the update.
        logits : tensor, shape (n, classes)
            What the network gave for them, in training mode.

        Raises
        ------
        TrainingError
            If the loss is not finite.
        """
        rates = self.rates_at(self.iteration)
        active = self._shared(tuple((rates > 0).tolist()), len(indices))
        batch = Batch(images, np.asarray(indices, dtype=np.int64), numbers)
        prefix = len(_leading(active))
        start, features, places = self.cache.features(
            batch, prefix, lambda: iterations_left(self.schedule, self.rates_at, self.iteration)
        )
        step = self.compiled_step(features, active, weights is not None, start)
        arguments = [
            features,
            labels,
            tf.constant(places),
            tf.constant(batch.rows),
            tf.constant(rates, tf.float32),
            tf.constant(self.iteration),
        ]
        if weights is not None:
            arguments.append(tf.constant(weights, tf.float32))
        loss, logits, *norms = step(*arguments)
        loss = float(loss)
        self._check(loss, rates[:-1])
        if norms:
            self.schedule.observe(self.iteration, norms[0].numpy()[:-1])
        self.rates = rates
        self.frozen = leading_frozen(rates[:-1])
        self._last_loss = loss
        self.iteration += 1
        return loss, logits

    def _check(self, loss, rates):
        if not np.isfinite(loss):
            raise TrainingError(
                f"The loss is {loss} at iteration {self.iteration}, with learning rates "
                f"{np.array2string(rates, precision=4)}"
                + ("" if self._last_loss is None else f"; the last loss was {self._last_loss}")
                + ". A smaller learning rate may help."
            )

    def _shared(self, active, batch_size):
        """The active blocks, None for those that a step decides on which several stages share."""
        if self.groups is None:
            self.groups = self._plan(batch_size)
        frozen = leading_frozen(active[:-1])
        for first, last in self.groups:
            if first <= frozen <= last and all(active[frozen:]):
                return (False,) * first + (None,) * (last - first) + active[last:]
        return active

    def _plan(self, batch_size):
        ends = getattr(self.schedule, "last_iterations", None)
        if ends is None or self.blocks <= FEW:
            return []
        run = stages(self.schedule, int(np.ceil(np.max(ends))), self.learns)
        return plan_steps(block_costs(self.network), run, batch_size) if len(run) > 1 else []

    def compiled_step(self, images, active, weighted=False, start=0):
        """The step for a set of active blocks, compiled when first asked for.

        Parameters
        ----------
        images : tensor, shape (N, H, W, C)
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
            iteration and, if `weighted`, weights `(n,)` to loss, logits and, if the schedule
            observes, the norms of the blocks' gradients `(blocks + 1,)`.
        """

        # A default would make TensorFlow put an error together in every call, and recover.
        def step(images, labels, places, rows, rates, iteration, *weights):
            features, labels = tf.gather(images, places), tf.gather(labels, rows)
            if start:
                features = as_features(features)
            else:
                features = self.preprocessing.training(features, iteration)
            return self.trained(active, features, labels, rates, start, *weights)

        key = (images.dtype, active, weighted, start)
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

        The arguments are otherwise those of what `compiled_step` gives.
        """
        blocks = list(zip(self._blocks, tf.unstack(rates), active))
        prefix = len(_leading(active))
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
        if not observes(self.schedule):
            return loss, logits
        norms = {id(one[0]): tf.linalg.global_norm(own) for one, own in zip(learning, gradients)}
        return loss, logits, tf.stack([norms.get(id(one), 0.0) for one in self._blocks])

    def _clipped(self, gradients):
        """Gradients scaled down to the optimizer's `global_clipnorm` over all active blocks."""
        if self._global_clipnorm is None:
            return gradients
        flat, _ = tf.clip_by_global_norm(tf.nest.flatten(gradients), self._global_clipnorm)
        return tf.nest.pack_sequence_as(gradients, flat)


def _leading(active):
    """The flags of the leading blocks that are frozen, whatever the rates."""
    return list(itertools.takewhile(lambda one: one is False, active))
