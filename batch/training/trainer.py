"""One training step: a forward pass, one gradient pass, and an optimizer for every block.

The step is compiled once for each set of active blocks. All blocks before the first active one run
in inference mode, outside the gradient tape. A frozen block after it also runs in inference mode.
It passes gradients on but has none for its own weights: TensorFlow prunes unused gradients from the
executed graph. The optimizer does not see frozen blocks, so neither weights, slots nor statistics
move. A block is frozen while the schedule gives it a rate of 0, or for good if it has nothing to
train (`batch.networks.freeze_by_name`).

Every block is traced once, as a function of its own, and the steps call these functions. So a new
stage costs about the time of a step or two instead of five to ten. With dozens of blocks, stages
share steps in which conditionals decide what is frozen (`batch.training.stage_plan`).
"""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from batch.checks import one_of
from batch.feature_cache.prefix_cache import PrefixCache
from batch.networks.freeze_by_name import learning
from batch.runtime import deterministic_on_gpus, names_not_kept
from batch.schedules import observes
from batch.schedules.stages import leading_frozen
from batch.training.block import Block
from batch.training.compile_ahead import CompileAhead
from batch.training.depthwise import FORMS
from batch.training.losses import Objective
from batch.training.optimizers import check_weight_decay, copies
from batch.training.preprocessing import Preprocessing
from batch.training.replicas import replicas_of, several_workers
from batch.training.stage_plan import StagePlan
from batch.training.step import Steps, leading, step_key


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
    loss : callable or Objective
        From labels `(n,)` and logits `(n, classes)` to the losses `(n,)` of the examples, as
        `batch.training.losses.cross_entropy`, whose mean counts; or what gives the loss of a batch.
    preprocessing : Preprocessing, optional
        What happens to images before the first block; scaling alone by default.
    weight_decay : float
        λ of an L2 penalty ½λ‖w‖². Its gradient λ·w is added to that of every trainable variable of
        the active blocks, scales and offsets of normalizations included, after clipping to a
        `global_clipnorm`, as PyTorch's optimizers do it, and before `clipnorm` or `clipvalue`.
        Reported losses do not contain it.
    frozen_batch_norm : {'inference', 'batch'}
        How frozen batch normalizations normalize in training: by their moving statistics, or by
        those of the batch. Neither moves the moving statistics.
    inference_mode : collection of str
        Names of blocks that run in inference mode even while they learn.
    cache : str or float
        Where to keep what leading frozen blocks compute, as for `PrefixCache`.
    microbatch_size : int, optional
        Examples that go through the passes forward and backward at a time, to save memory; all by
        default. See `batch.training.microbatches.Microbatches`.
    depthwise_gradient : {'tensorflow', 'by_shape'}
        Whose gradients depthwise convolutions of active blocks have: TensorFlow's, or those that
        are faster for their shapes (`batch.training.depthwise.differentiate_by_shape`).
    strategy : tf.distribute.MirroredStrategy or tf.distribute.MultiWorkerMirroredStrategy, optional
        Which devices train together (`batch.training.replicas.Replicas`).

    Attributes
    ----------
    iteration : int
        Steps made so far. All state of training is this, the weights, the slots of the optimizers,
        and the state of a schedule that observes training.
    frozen : int
        Leading blocks that were frozen in the last step.
    loss, data_loss : float or None
        The last step's loss, and that without what layers added to it.
    seconds : float or None
        That the last step took.
    rates : ndarray, shape (blocks + 1,), or None
        Rates of the last step, the classifier's last; 0 is frozen.
    accumulates : bool
        Whether optimizers add up the gradients of several steps before each update.
    plan : StagePlan
        Which blocks are active in which iteration.
    steps : Steps
        The compiled steps.
    cache : PrefixCache
        What leading frozen blocks computed for each example.
    replicas : Replicas or None
        Those of several devices.
    """

    @names_not_kept()
    def __init__(
        self,
        network,
        optimizer,
        schedule,
        *,
        loss,
        preprocessing=None,
        weight_decay=0.0,
        frozen_batch_norm="inference",
        inference_mode=(),
        cache="auto",
        microbatch_size=None,
        depthwise_gradient="tensorflow",
        strategy=None,
    ):
        one_of("frozen_batch_norm", frozen_batch_norm, ("inference", "batch"))
        one_of("depthwise_gradient", depthwise_gradient, FORMS)
        self.network = network
        self.preprocessing = preprocessing or Preprocessing()
        if several_workers(strategy):  # each has a part of the batch, and crops are of the whole
            self.preprocessing = dataclasses.replace(self.preprocessing, ahead=True)
        check_weight_decay(optimizer, weight_decay)
        self.accumulates = bool(optimizer.gradient_accumulation_steps)
        self._check_ends(schedule)
        self._optimizers = copies(optimizer, len(network.layers))
        self.iteration = 0
        self.frozen = 0
        self.loss = self.data_loss = self.rates = self.seconds = None
        self.plan = StagePlan(schedule, network, learning(network.layers))
        objective = loss if isinstance(loss, Objective) else Objective(loss, network.outputs[0])

        def make_steps(network):
            blocks = [
                Block(
                    layer,
                    block_optimizer,
                    weight_decay=weight_decay,
                    frozen_batch_norm=frozen_batch_norm,
                    inference_mode=layer.name in inference_mode,
                    depthwise_gradient=depthwise_gradient,
                    penalizes_frozen=objective.penalizes_frozen,
                )
                for layer, block_optimizer in zip(network.layers, self._optimizers)
            ]
            return Steps(
                blocks,
                objective,
                self.preprocessing,
                global_clipnorm=optimizer.global_clipnorm,
                loss_scale=optimizer.loss_scale_factor,
                norms=observes(schedule),
                microbatch_size=microbatch_size,
            )

        self.steps = make_steps(network)
        self.replicas = self.steps.replicas = replicas_of(strategy, network, make_steps)
        if self.replicas:
            self.plan.groups = []  # in a shared step, what is frozen would be exchanged too
        self.cache = PrefixCache(self.steps.blocks, self.preprocessing, cache, microbatch_size)
        self._compile_ahead = CompileAhead()

    @property
    def optimizers(self):
        """Of the blocks, the classifier's last.

        They have slots from the first step on, or from the first time somebody asks for them: what
        a slot begins with may be the weights of then.
        """
        self.steps.make_slots()
        return self._optimizers

    @property
    def schedule(self):
        """The schedule, which may be replaced between two steps."""
        return self.plan.schedule

    @schedule.setter
    def schedule(self, schedule):
        self._check_ends(schedule)
        self.plan.schedule = schedule

    @property
    def blocks(self):
        """Number of blocks, the classifier not counted."""
        return len(self.network.layers) - 1

    def step(self, examples):
        """Train on some examples.

        Parameters
        ----------
        examples : Examples

        Returns
        -------
        loss : float
            Their (weighted) mean loss and what layers add to it, before the update.
        logits : tensor, shape (n, classes)
            What the network gave for them, in training mode; with several workers, for those of
            this worker.

        Raises
        ------
        TrainingError
            If the loss is not finite.
        ValueError
            If a batch has fewer examples than there are replicas, or workers differ.
        """
        started = time.perf_counter()
        rates = self.plan.rates_at(self.iteration)
        examples = self.preprocessing.seen(examples, self.iteration)
        if self.accumulates:
            self._check_held(rates)
        shares = None
        if self.replicas:
            self.replicas.check_alike(self, examples)
            examples, shares = self.replicas.divided(examples)
        active = self.plan.active(rates, len(examples))
        left = self.plan.stage_end(self.iteration) - self.iteration
        prefix = self.cache.features(examples, leading(active), left)
        loss, logits, more = self._run(examples, active, rates, prefix=prefix, shares=shares)
        self._check(loss, rates)
        if self.accumulates:
            ending = (rates > 0) & (self.plan.rates_at(self.iteration + 1) == 0)
            self.steps.finish(rates > 0, ending)
        if "norms" in more:
            self.schedule.observe(self.iteration, more["norms"][:-1])
        self.data_loss = float(more.get("data_loss", loss))
        self.rates = rates
        self.frozen = leading_frozen(rates[:-1])
        self.loss = loss
        self.iteration += 1
        self.seconds = time.perf_counter() - started
        if self.replicas:
            self.replicas.count_step(active)
        else:  # a trial run of a step ahead of time would wait for other replicas
            self._compile_ahead.prepare_next(self, examples, self.seconds)
        return loss, logits

    def settle(self):
        """Wait until other threads have compiled steps and written features."""
        self._compile_ahead.settle()
        self.cache.settle()

    def _run(self, examples, active, rates, *, prefix, shares):
        """Run the step from what `PrefixCache.features` gave.

        Returns
        -------
        loss : float
        logits : tensor, shape (n, classes)
        more : dict of ndarray
            What else the step returned (`Steps.compiled`).
        """
        start, features, rows = prefix
        more = [each for each in (shares, examples.weights) if each is not None]
        kind = {"weighted": examples.weights is not None, "start": start}
        self._compile_ahead.wait(step_key(features, active, **kind))
        step = self.steps.compiled(features, active, **kind)
        drawn_from = self.iteration if examples.crops is None else examples.crops
        arguments = (
            *(features, examples.labels, tf.constant(rows), tf.constant(examples.rows)),
            *(tf.constant(rates, tf.float32), tf.constant(drawn_from)),
            *(tf.constant(each, tf.float32) for each in more),
        )
        with deterministic_on_gpus():
            loss, logits, returned = step(*arguments)
        return float(loss), logits, {name: value.numpy() for name, value in returned.items()}

    def _check(self, loss, rates):
        if not np.isfinite(loss):
            raise TrainingError(
                f"The loss is {loss} at iteration {self.iteration}, with learning rates "
                f"{np.array2string(rates[:-1], precision=4)}"
                + ("" if self.loss is None else f"; the last loss was {self.loss}")
                + ". A smaller learning rate may help."
            )

    def _check_ends(self, schedule):
        """Refuse accumulation where nobody knows in a block's last step that it is the last one."""
        knows = getattr(schedule, "last_iterations", None) is not None and not observes(schedule)
        if self.accumulates and not knows:
            raise ValueError(
                "gradient_accumulation_steps needs a schedule that says beforehand when each block "
                "freezes (last_iterations), so that it applies what it has accumulated by then. "
                f"Received: {getattr(schedule, '__name__', type(schedule).__name__)}"
            )

    def _check_held(self, rates):
        """Refuse to freeze a block that holds gradients, after a change of the schedule."""
        for layer, optimizer, rate in zip(self.network.layers, self.optimizers, rates):
            passed = int(optimizer._iterations)  # noqa: SLF001 the public property counts updates
            held = passed % optimizer.gradient_accumulation_steps
            if held and not rate:
                raise ValueError(
                    f"The schedule freezes block {layer.name} at iteration {self.iteration}, and "
                    f"it still holds the gradients of {held} steps (gradient_accumulation_steps). "
                    "Expected: one that lets it reach its next update"
                )
