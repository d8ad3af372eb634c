"""One training step: a forward pass, one gradient pass, and an optimizer for every block.

The step is compiled once for each set of active blocks. What stands before the first active block
runs in inference mode, outside the gradient tape. A frozen block after it runs in inference mode
too and passes gradients on, but gets none: TensorFlow prunes what nobody reads from the executed
graph. Frozen blocks leave the optimizer, so that neither weights, slots nor statistics move. Blocks
are frozen by a rate of 0 from the schedule, or for good where they have nothing to train
(`batch.networks.freeze_by_name`).

Every block is traced once, as a function of its own, and the steps call these functions; that makes
entering a new stage cost about the time of a step or two instead of five to ten. With dozens of
blocks, stages share steps in which conditionals decide what is frozen (see `stage_plan`).
"""

import time

import numpy as np
import tensorflow as tf

from batch.checks import one_of
from batch.feature_cache.identity import Batch
from batch.feature_cache.prefix_cache import PrefixCache
from batch.flops import block_costs
from batch.networks.freeze_by_name import can_learn
from batch.schedules.stages import end_of, iterations_left, leading_frozen, observes, stages
from batch.training.compile_ahead import LEAD, Ahead
from batch.training.losses import compiled_loss
from batch.training.optimizers import copies
from batch.training.preprocessing import Preprocessing
from batch.training.stage_plan import plan_steps
from batch.training.step import Block, Steps, leading, step_key

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
        `batch.training.losses.cross_entropy`.
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
    steps : Steps
        What is compiled.
    cache : PrefixCache
        What leading frozen blocks computed, example by example.
    groups : list of (int, int), or None
        `(first, last)`: stages with first … last leading frozen blocks that share a step, planned
        in the first step (`batch.training.stage_plan.plan_steps`) unless set before; `[]` for none.
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
        for one, layer in zip(self.optimizers, network.layers):
            one.build(layer.trainable_variables)
        self.iteration = 0
        self.frozen = 0
        self.rates = None
        self.learns = [can_learn(layer) for layer in network.layers]
        self._last_loss = None
        self.groups = None
        blocks = [
            Block(layer, one, weight_decay, frozen_batch_norm, layer.name in inference_mode)
            for layer, one in zip(network.layers, self.optimizers)
        ]
        losses, clipnorm = compiled_loss(loss, network.outputs[0]), optimizer.global_clipnorm
        self.steps = Steps(blocks, losses, self.preprocessing, clipnorm, observes(schedule))
        self.cache = PrefixCache(blocks, self.preprocessing, cache)
        # Tracing by the batch's statistics changes layers for a moment: not beside another trace.
        self._ahead = None if frozen_batch_norm == "batch" else Ahead()
        self._stage_end = 0  # iteration at which other blocks will be frozen
        self._looked_at = None  # the last such iteration whose step was begun ahead

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
        started = time.perf_counter()
        rates = self.rates_at(self.iteration)
        active = self._shared(rates > 0, len(indices))
        batch = Batch(images, np.asarray(indices, dtype=np.int64), numbers)
        if self.iteration >= self._stage_end:
            self._stage_end = self.iteration + self._left(self.iteration)
        left = self._stage_end - self.iteration
        start, features, places = self.cache.features(batch, leading(active), left)
        weights = [] if weights is None else [tf.constant(weights, tf.float32)]
        step = self._step(features, active, bool(weights), start)
        rows, iteration = tf.constant(batch.rows), tf.constant(self.iteration)
        places, rated = tf.constant(places), tf.constant(rates, tf.float32)
        loss, logits, *norms = step(features, labels, places, rows, rated, iteration, *weights)
        loss = float(loss)
        self._check(loss, rates[:-1])
        if norms:
            self.schedule.observe(self.iteration, norms[0].numpy()[:-1])
        self.rates = rates
        self.frozen = leading_frozen(rates[:-1])
        self._last_loss = loss
        self.iteration += 1
        self._look_ahead(batch, labels, bool(weights), time.perf_counter() - started)
        return loss, logits

    def settle(self):
        """Wait for what other threads do: compiling ahead, and writing features."""
        if self._ahead:
            self._ahead.settle()
        self.cache.settle()

    def _left(self, iteration):
        """Iterations, from this one on, until there is another step, or other blocks in front."""

        def stage(iteration):
            return self._shared(self.rates_at(iteration) > 0, None)

        return iterations_left(self.schedule, stage, iteration)

    def _step(self, features, active, weighted, start):
        if self._ahead:
            self._ahead.wait(step_key(features, active, weighted, start))
        return self.steps.compiled(features, active, weighted, start)

    def _look_ahead(self, batch, labels, weighted, seconds):
        """Begin to compile the next stage's step, if that stage is near."""
        end = self._stage_end
        if end in (self._looked_at, np.inf) or (end - self.iteration) * seconds > LEAD:
            return
        self._looked_at = end
        known = end < end_of(self.schedule) and not observes(self.schedule)
        if not self._ahead or not known:
            return
        active = self._shared(self.rates_at(end) > 0, len(batch.rows))
        start, entry = self.cache.ahead(batch, leading(active), self._left(end))
        key = step_key(entry, active, weighted, start)
        if key in self.steps:
            return

        def compiled():
            self.cache.prepare(start, batch)
            return self.steps.compiled(entry, active, weighted, start)

        def arguments():
            features = tf.zeros((2, *entry.shape[1:]), entry.dtype)
            two, ones = tf.constant([0, 1], tf.int64), [tf.ones(2)] * weighted
            return [features, labels, two, two, tf.zeros(len(active)), tf.constant(0), *ones]

        self._ahead.begin(key, compiled, arguments, self._variables)

    def _variables(self):
        optimizers = [one for optimizer in self.optimizers for one in optimizer.variables]
        return [one.value for one in (*self.network.variables, *optimizers)]

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
        active = tuple(map(bool, active))
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
