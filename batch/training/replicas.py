"""Data-parallel steps: each replica runs the passes for its rows, and gradients are summed.

A replica is a copy of the network on a device of its own. Its gradients of active blocks, and how
far its moving statistics went, go as a single vector into a collective. Nothing of frozen blocks
does. The optimizers update the network itself, once a worker; its copies on other devices of the
machine get its weights before each step.
"""

import dataclasses
import itertools
import zlib

import keras
import numpy as np
import tensorflow as tf

from batch.data.rows import id_numbers
from batch.networks.copies import copied
from batch.networks.layer_state import value_of
from batch.networks.stochastic_depth import StochasticDepth

FACTS = ("iteration", "weights", "number of examples", "rows or ids of the examples")


class Replicas:
    """The replicas of a network that this process has, and the way to all others.

    Parameters
    ----------
    strategy : tf.distribute.Strategy
        With several replicas.
    network : keras.Sequential
        The first replica of this process.
    make_steps : callable
        From a network, the same or a copy, to its `Steps`.

    Attributes
    ----------
    count : int
        Replicas, those of other workers included.
    workers : int
        Processes, each with replicas of its own.
    bytes : int
        What a replica has given to collectives: gradients and statistics of active blocks. With
        several workers, there are 8 bytes a step more, for the loss.
    bytes_saved : int
        What it would have given beyond that, had no block been frozen for the time being.

    Raises
    ------
    ValueError
        If a layer can't do the same on several replicas as on a single one.
    """

    def __init__(self, strategy, network, make_steps):
        check_layers(network.layers)
        self._strategy = strategy
        self._devices = strategy.extended.worker_devices
        self.count = strategy.num_replicas_in_sync
        self.workers = self.count // len(self._devices)
        self._first = int(tf.function(self._of_each)(_number))
        self.steps = [make_steps(network)]
        for device in self._devices[1:]:
            with tf.device(device):
                twin = copied(network.layers, network.input_shape[1:])
            self.steps.append(make_steps(twin))
        self._exchanges = {}  # functions by the shapes and types of the vectors of a replica
        self._bytes = {}  # of a step, by its active blocks
        self._checked = False
        self.bytes = self.bytes_saved = 0

    def divided(self, examples):
        """The examples of this worker, and how much those of each of its replicas count.

        Parameters
        ----------
        examples : Examples
            Of the global batch, which all workers are given. With several workers, it is divided in
            the order of rows or ids, so that a worker mostly has the same examples again.

        Returns
        -------
        examples : Examples
        shares : ndarray, shape (replicas of this worker,), float32
            Of the global batch; those of all workers sum up to 1.

        Raises
        ------
        ValueError
            If there are fewer examples than replicas.
        """
        size, local = len(examples), len(self._devices)
        if size < self.count:
            raise ValueError(
                f"A batch must have an example for each of the {self.count} replicas or more. "
                f"Received: {size}"
            )
        weighted = self.steps[0].objective.by_weight and examples.weights is not None
        weights = examples.weights.astype(float) if weighted else np.ones(size)
        total = weights.sum()
        if self.workers > 1:
            ends = (size * (self._first + more) // self.count for more in (0, local))
            order = np.argsort(_numbers(examples), kind="stable")
            own = np.sort(order[slice(*ends)])
            examples, weights = _some(examples, own), weights[own]
        bounds = [number * len(weights) // local for number in range(local + 1)]
        sums = [weights[slice(*ends)].sum() for ends in itertools.pairwise(bounds)]
        return examples, np.divide(sums, total or 1.0).astype(np.float32)

    def check_alike(self, trainer, examples):
        """Before the first step, refuse workers that do not all go on from the same state.

        Parameters
        ----------
        trainer : Trainer
        examples : Examples
            Of the global batch.

        Raises
        ------
        ValueError
            Naming in what they differ.
        """
        if self._checked or self.workers == 1:
            return
        weights = b"".join(value_of(each).tobytes() for each in trainer.network.weights)
        numbers = zlib.crc32(_numbers(examples).tobytes())
        facts = [trainer.iteration, zlib.crc32(weights), len(examples), numbers]
        given = self._strategy.experimental_distribute_values_from_function(
            lambda replica: tf.constant([facts], tf.int64)
        )
        gathered = self._strategy.gather(given, axis=0)
        for name, values in zip(FACTS, gathered.numpy().T.tolist()):
            if len(set(values)) > 1:
                raise ValueError(
                    f"All workers must begin with the same {name}: give them the same seed, data "
                    f"and checkpoint. Received: {', '.join(map(str, values))}"
                )
        self._checked = True

    def count_step(self, active):
        """Count what the exchange of a step with these active blocks took."""
        blocks = self.steps[0].blocks
        whole = sum(_size(variable) for block in blocks for variable in _exchanged_of(block))
        self.bytes += self._bytes[active]
        self.bytes_saved += whole - self._bytes[active]

    def gradients(self, active, features, labels, *, rates, start, weights, shares):
        """Losses, logits and gradients of the global batch, as `Steps.gradients` gives them.

        The logits are those of this worker's examples. Moving statistics of active blocks become
        the mean over all replicas.

        Parameters
        ----------
        active, features, labels, rates, start, weights
            As for `Steps.trained`: of this worker's examples.
        shares : tensor, shape (replicas of this worker,)
        """
        self._copy_weights(start)
        statistics = self.steps[0].statistics(active)
        before = [tf.identity(variable) for variable in statistics]
        learning = [block for block, flag in zip(self.steps[0].blocks, active) if flag]
        variables = [*(each for block in learning for each in block.variables), *statistics]
        local = len(self._devices)
        bounds = [number * tf.shape(labels)[0] // local for number in range(local + 1)]
        losses, logits, made = [], [], []
        for number, device in enumerate(self._devices):
            rows = slice(bounds[number], bounds[number + 1])
            some = [None if each is None else each[rows] for each in (features, labels, weights)]
            with tf.device(device):
                found, outputs, moved = self._passes(number, active, some, rates, start)
                losses.append(shares[number] * tf.stack(found))
                logits.append(outputs)
                some = zip(tf.nest.flatten(moved), variables)
                made.append([_scaled(*pair, shares[number]) for pair in some])
        losses, sums = self._summed(active, losses, made)
        gradients, moves = tf.nest.pack_sequence_as(moved, sums)
        for variable, value, move in zip(statistics, before, moves):
            variable.assign(value + move)
        return tf.unstack(losses), tf.concat(logits, 0), gradients

    def _passes(self, number, active, some, rates, start):
        """Of a replica here: losses, logits, and gradients with how far statistics moved."""
        steps = self.steps[number]
        statistics = steps.statistics(active)
        before = [tf.identity(variable) for variable in statistics]
        states = _random_states(steps.blocks)
        apart = number + self._first  # or all replicas would draw the same for their examples
        for state in states:
            state.assign_add(tf.constant([apart, 0], state.dtype))
        features, labels, weights = some
        losses, logits, gradients = steps.gradients(
            active, features, labels, rates=rates, start=start, weights=weights
        )
        for state in states:
            state.assign_sub(tf.constant([apart, 0], state.dtype))
        moves = [variable - value for variable, value in zip(statistics, before)]
        return losses, logits, [gradients, moves]

    def _copy_weights(self, start):
        """Give the copies on other devices here the weights of the blocks from `start` on."""
        blocks = self.steps[0].blocks[start:]
        for steps, device in zip(self.steps[1:], self._devices[1:]):
            with tf.device(device):
                for block, twin in zip(blocks, steps.blocks[start:]):
                    pairs = zip(block.layer.variables, twin.layer.variables, strict=True)
                    for variable, copy in pairs:
                        copy.value.assign(variable.value)

    def _summed(self, active, losses, made):
        """Sums over all replicas: of their losses, and of lists of tensors or None."""
        there = [number for number, each in enumerate(made[0]) if each is not None]
        kinds = list(dict.fromkeys(made[0][number].dtype for number in there))
        groups = [[at for at in there if made[0][at].dtype == kind] for kind in kinds]
        vectors = [[_vector([some[at] for at in group]) for group in groups] for some in made]
        self._bytes[active] = sum(_size(vector) for vector in vectors[0])
        if self.workers > 1:
            vectors = [[*some, loss] for some, loss in zip(vectors, losses)]
            *vectors, losses = self._exchanged(vectors)
        else:
            vectors, losses = self._exchanged(vectors), tf.add_n(losses)
        sums = [None] * len(made[0])
        for group, vector in zip(groups, vectors):
            like = [made[0][at] for at in group]
            parts = tf.split(vector, [each.shape.num_elements() for each in like])
            for at, part, each in zip(group, parts, like):
                sums[at] = tf.reshape(part, each.shape)
        return losses, sums

    def _exchanged(self, vectors):
        """Sums over all replicas of the vectors that each has: a list of lists, of those here."""
        specs = [[tf.TensorSpec(each.shape, each.dtype) for each in some] for some in vectors]
        if not specs[0]:
            return []

        def exchange(given):
            def reduced():
                of_this = given[tf.get_static_value(_number()) - self._first]
                of_this = [tf.identity(each) for each in of_this]  # on this replica's device
                context = tf.distribute.get_replica_context()
                return [context.all_reduce(tf.distribute.ReduceOp.SUM, each) for each in of_this]

            return self._of_each(reduced)

        # All workers must trace exchanges in the same order, whatever else their steps differ in,
        # as in what is cached: so each is a function of its own.
        key = tuple(specs[0])
        if key not in self._exchanges:
            traced = tf.function(exchange, autograph=False)
            self._exchanges[key] = traced.get_concrete_function(specs)
        return self._exchanges[key](vectors)

    def _of_each(self, function):
        """What a function gives for the first replica here, when it is run on all of them."""
        made = self._strategy.run(function)
        return tf.nest.map_structure(
            lambda each: self._strategy.experimental_local_results(each)[0], made
        )


def replicas_of(strategy, network, make_steps):
    """The `Replicas`; None if there is no strategy, or a single device."""
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return None
    return Replicas(strategy, network, make_steps)


def several_workers(strategy):
    """Whether several processes train together."""
    if strategy is None:
        return False
    return strategy.num_replicas_in_sync > len(strategy.extended.worker_devices)


def check_layers(blocks):
    """Refuse layers that would not do on several replicas what they do on a single one.

    Raises
    ------
    ValueError
        Naming the layer.
    """
    for layer in (part for block in blocks for part in block._flatten_layers()):  # noqa: SLF001
        if isinstance(layer, StochasticDepth) and layer.mode == "sample":
            raise ValueError(
                "With a strategy, the mode of stochastic depth must be batch: each replica would "
                f"draw the same for its examples. Received: sample, of {layer.name}"
            )
        if isinstance(layer, keras.layers.BatchNormalization) and layer.synchronized:
            raise ValueError(
                "With a strategy, batch normalization is that of each replica, so synchronized "
                f"must be False. Received: True, of {layer.name}"
            )


def _number():
    """The number of this replica among all."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def _numbers(examples):
    """A number for each example."""
    return id_numbers(examples.rows if examples.ids is None else np.asarray(examples.ids))


def _some(examples, own):
    """The examples at these positions of the batch."""
    names = ("rows", "ids", "weights", "views", "crops")
    given = {name: getattr(examples, name) for name in names}
    return dataclasses.replace(
        examples, **{name: each[own] for name, each in given.items() if each is not None}
    )


def _random_states(blocks):
    """The states of all that draws at random in some blocks."""
    parts = [part for block in blocks for part in block.layer._flatten_layers()]  # noqa: SLF001
    return [each.state.value for part in parts for each in part._seed_generators]  # noqa: SLF001


def _scaled(tensor, variable, factor):
    """A tensor, or slices, of the shape of a variable, times a factor; None if it is None."""
    if tensor is None:
        return None
    tensor = tf.reshape(tf.convert_to_tensor(tensor), variable.shape)  # slices don't know it
    return tf.cast(factor, tensor.dtype) * tensor


def _vector(tensors):
    return tf.concat([tf.reshape(each, [each.shape.num_elements()]) for each in tensors], 0)


def _exchanged_of(block):
    """The variables of a block whose gradients or moves are exchanged while it is active."""
    return [*block.variables, *block.statistics]


def _size(array):
    """Bytes of a tensor or variable."""
    return array.shape.num_elements() * array.dtype.size
