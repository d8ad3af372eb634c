"""The compiled training steps: one a set of active blocks."""

import itertools

import tensorflow as tf

from batch.feature_cache.stores import as_features
from batch.runtime import names_not_kept
from batch.training.microbatches import Microbatches
from batch.training.updates import check_gradients, clipped, finish, unscaled


class Steps:
    """The steps of a trainer, each compiled when it is first needed.

    Parameters
    ----------
    blocks : list of Block
        Of a network, the classifier included.
    objective : Objective
    preprocessing : Preprocessing
    global_clipnorm : float or None
        Largest norm of the gradients of all active blocks together; larger ones are scaled down.
    loss_scale : float or None
        What the loss is multiplied by for the backward pass; gradients are divided by it.
    norms : bool
        Whether steps also return the norms of the blocks' gradients.
    microbatch_size : int, optional
        Examples that go through the passes at a time; all by default.

    Attributes
    ----------
    blocks : list of Block
    objective : Objective
    replicas : Replicas or None
        Where to run the passes of compiled steps, if not here; set before the first is compiled.
    """

    def __init__(
        self,
        blocks,
        objective,
        preprocessing,
        *,
        global_clipnorm=None,
        loss_scale=None,
        norms=False,
        microbatch_size=None,
    ):
        self.blocks = blocks
        self.objective = objective
        self._preprocessing = preprocessing
        self._global_clipnorm = global_clipnorm
        self._loss_scale = loss_scale
        self._norms = norms
        self._parts = None
        if microbatch_size is not None:
            self._parts = Microbatches(microbatch_size, [block.layer for block in blocks])
        self._compiled = {}
        self.replicas = None

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
            From images, labels, rows of the images, rows of the labels, rates `(blocks + 1,)`, what
            augmentation is drawn from (`Preprocessing.drawn_from`), with replicas how much those
            here count, and, if `weighted`, weights `(n,)`, to loss, logits and a dict. This has the
            `data_loss` if layers add to it, and with `norms` the `norms` of the blocks' gradients
            `(blocks + 1,)`. It takes them by position only.
        """

        # With a default for the weights, TensorFlow would raise and catch an error in every call.
        def step(images, labels, image_rows, label_rows, rates, drawn_from, *more):
            features, labels = tf.gather(images, image_rows), tf.gather(labels, label_rows)
            if start:
                features = as_features(features)
            else:
                features = self._preprocessing.training(features, drawn_from)
            given = {"weights": more[-1] if weighted else None}
            given["shares"] = more[0] if self.replicas else None
            return self.trained(active, features, labels, rates=rates, start=start, **given)

        key = step_key(images, active, weighted=weighted, start=start)
        if key not in self._compiled:
            self.make_slots()
            stored = tf.TensorSpec((None, *images.shape[1:]), images.dtype)
            rows = tf.TensorSpec((None,), tf.int64)
            rates = tf.TensorSpec((len(active),), tf.float32)
            drawn_from = self._preprocessing.drawn_from
            shares = [len(self.replicas.steps)] if self.replicas else []
            more = [tf.TensorSpec((size,), tf.float32) for size in [*shares, *[None] * weighted]]
            self._compiled[key] = tf.function(step, autograph=False).get_concrete_function(
                *(stored, self.objective.labels, rows, rows, rates, drawn_from, *more)
            )
        return self._compiled[key]

    def trained(self, active, features, labels, *, rates, start=0, weights=None, shares=None):
        """The body of a step: passes forward and backward, and the update.

        Parameters
        ----------
        active, start
            As for `compiled`.
        features : tensor, shape (n, …)
            What the block number `start` takes.
        labels, rates, weights, shares
            As for the step that `compiled` returns; the labels are already gathered.
        """
        given = {"rates": rates, "start": start, "weights": weights}
        if shares is None:
            losses, logits, gradients = self.gradients(active, features, labels, **given)
        else:
            losses, logits, gradients = self.replicas.gradients(
                active, features, labels, **given, shares=shares
            )
        loss, *data_loss = losses
        learning = self._learning(active, rates)
        updates = [block.updates for block, _, _ in learning]
        to_apply = clipped(updates, gradients, self._global_clipnorm)
        for (block, rate, is_active), gradient in zip(learning, to_apply):
            block.learn(rate, gradient, is_active)
        returned = {"data_loss": data_loss[0]} if data_loss else {}
        if self._norms:
            returned["norms"] = self._gradient_norms(learning, gradients)
        return loss, logits, returned

    def gradients(self, active, features, labels, *, rates, start=0, weights=None):
        """Losses (a list of one or two), logits, and the gradients of blocks that may be active.

        The parameters are those of `trained`.
        """
        blocks = list(zip(self.blocks, tf.unstack(rates), active))

        def passes(*examples):
            return self._passes(blocks, start, *examples)

        if self._parts is None:
            return passes(features, labels, weights)
        variables = [block.variables for block, _, _ in self._learning(active, rates)]
        return self._parts.summed(passes, features, labels, weights, variables)

    def statistics(self, active):
        """Variables of active blocks that move in a step without a gradient."""
        return [
            each for block, flag in zip(self.blocks, active) if flag for each in block.statistics
        ]

    def _learning(self, active, rates):
        """The blocks that may be active, each with its rate and its flag."""
        blocks = zip(self.blocks, tf.unstack(rates), active)
        return [(block, rate, flag) for block, rate, flag in blocks if flag is not False]

    def _passes(self, blocks, start, features, labels, weights):
        """Losses, logits and gradients of blocks, each with its rate and its flag.

        The losses are the loss and, if layers add to it, the loss without that.
        """
        prefix = leading([is_active for _, _, is_active in blocks])
        features, added = _forward(blocks[start:prefix], features)
        learning = [block for block, _, is_active in blocks if is_active is not False]
        variables = [block.variables for block in learning]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # The input's gradient is not needed, but it is watched: so the first active block
            # uses the backward pass that is traced already. TensorFlow prunes what is not needed.
            tape.watch([features, variables])
            features, more = _forward(blocks[prefix:], features)
            logits = tf.cast(features, tf.float32)
            data_loss = self.objective(labels, logits, weights)
            added += [*more, *_weight_penalties(blocks)]
            loss = tf.add_n([data_loss, *added]) if added else data_loss
        gradients = tape.gradient(loss, variables, output_gradients=self._loss_scale)
        check_gradients([block.layer for block in learning], gradients)
        losses = [loss, data_loss] if added else [loss]
        return losses, logits, unscaled(gradients, self._loss_scale)

    def _gradient_norms(self, learning, gradients):
        """Norms of the blocks' gradients, 0 for those that are frozen, shape `(blocks + 1,)`."""
        norms = {
            id(block): tf.linalg.global_norm(of_block)
            for (block, _, _), of_block in zip(learning, gradients)
            if any(gradient is not None for gradient in of_block)
        }
        return tf.stack([norms.get(id(block), 0.0) for block in self.blocks])

    @names_not_kept()
    def make_slots(self):
        """Make the slots of the blocks' optimizers, unless they are there."""
        for block in self.blocks:
            block.updates.make_slots()

    def finish(self, active, ending):
        """Let blocks update by what they have accumulated, since they will freeze.

        Parameters
        ----------
        active : sequence of bool
            The blocks of the step just made, the classifier last.
        ending : sequence of bool
            Those that will be frozen in the next one.
        """
        updates = [
            [block.updates for block, is_there in zip(self.blocks, some) if is_there]
            for some in (active, ending)
        ]
        finish(*updates, self._global_clipnorm)


def _forward(blocks, features):
    """What some blocks, each with its rate and whether it is active, give and add to the loss."""
    added = []
    for block, rate, is_active in blocks:
        features, more = block.forward(features, rate, is_active)
        added += more
    return features, added


def _weight_penalties(blocks):
    return [penalty for block, *state in blocks for penalty in block.weight_penalty(*state)]


def step_key(images, active, *, weighted, start):
    """The key of a compiled step; the arguments are those of `Steps.compiled`."""
    return images.dtype, active, weighted, start


def leading(active):
    """How many leading blocks are frozen whatever the rates are: those flagged False."""
    return sum(1 for _ in itertools.takewhile(lambda is_active: is_active is False, active))
