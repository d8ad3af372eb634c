"""`BlockModel`: the engine under Keras' `compile` and `fit`."""

import collections
import contextlib
import logging

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils

from batch.checks import instance, received
from batch.data.examples import Examples
from batch.models.model_file import restore, state_of
from batch.models.network import read_layers
from batch.models.placed import place_once
from batch.networks.freeze_by_name import inference_names, named_layers, set_trainable
from batch.networks.keras_models import as_blocks
from batch.schedules import SCHEDULES, make_schedule
from batch.training.losses import KerasObjective
from batch.training.optimizers import make_optimizer
from batch.training.preprocessing import AsGiven
from batch.training.trainer import Trainer

Identified = collections.namedtuple("Identified", ("inputs", "id"))  # of a dataset `with_ids`
LEFT_OUT = "left out"
RATE_CALLBACKS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
OURS = ("schedule", "freeze", "frozen_batch_norm", "inference_mode", "cache")


def with_ids(dataset):
    """A dataset whose examples know which they are, so that what frozen blocks compute is kept.

    Put it before shuffling and before random augmentation would be wrong: what comes after it must
    be the same each time that an example is seen.

    Parameters
    ----------
    dataset : tf.data.Dataset
        Of single examples: inputs, or a tuple of inputs, labels and, perhaps, weights.
    """
    instance("dataset", dataset, tf.data.Dataset, "a tf.data.Dataset")

    def identified(number, example):
        if not isinstance(example, tuple):
            return Identified(example, number)
        inputs, *rest = example
        return (Identified(inputs, number), *rest)

    return dataset.enumerate().map(identified)


@keras.saving.register_keras_serializable("resbatch")
class BlockModel(keras.Model):
    """A `keras.Model` of blocks, which freeze for good or by a schedule.

    Frozen blocks leave the backward pass, and what leading ones compute is kept. Otherwise it
    trains as stock Keras does: `uint8` images are cast, not divided.

    Parameters
    ----------
    model_or_blocks : keras.Sequential, sequence of keras.layers.Layer, or keras.Model
        Its layers are the blocks, the classifier last. They are used, not copied.
    cut : sequence of str, optional
        Of a functional model: names of the layers after which a block ends, as for `as_blocks`.
    name : str, optional

    Attributes
    ----------
    network : keras.Sequential
        Of the blocks.

    Examples
    --------
    ::

        model = BlockModel(keras.applications.ResNet50(…), cut=["conv2_block3_out", "avg_pool"])
        model.compile("adam", "sparse_categorical_crossentropy", freeze=["conv2_block3_out"])
        model.fit(images, labels, epochs=10)
    """

    def __init__(self, model_or_blocks, cut=None, name=None):
        super().__init__(name=name)
        layers = as_blocks(model_or_blocks, cut) if cut is not None else model_or_blocks
        if isinstance(layers, keras.Sequential):
            self.network = layers
        else:
            self.network = keras.Sequential(list(layers))
        read_layers(self.network)
        self._own = dict.fromkeys(OURS)
        self._trainer = self._state = self._placed = self._left_out = None
        self._template, self._frozen_here = None, []
        self.built = self.network.built

    @property
    def frozen(self):
        """Leading blocks that were frozen in the last step."""
        return self._trainer.frozen if self._trainer else 0

    @property
    def rates(self):
        """Rates of the blocks and, last, the classifier in the last step; None before the first."""
        return self._trainer.rates if self._trainer else None

    def call(self, inputs, training=None):
        """What the network computes."""
        inputs = inputs.inputs if isinstance(inputs, Identified) else inputs
        return self.network(inputs, training=training)

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
        *,
        schedule=None,
        freeze=(),
        frozen_batch_norm="inference",
        inference_mode=(),
        cache="auto",
    ):
        """Configure the training, as Keras' `compile` does.

        Parameters
        ----------
        optimizer, loss, metrics, weighted_metrics
            As for Keras. Each block gets a copy of the optimizer. The same optimizer given again
            goes on with its state, but for blocks in which other layers are frozen now.
        loss_weights, run_eagerly, steps_per_execution, jit_compile
            Only what Keras does by default.
        auto_scale_loss : bool
            Of no use: mixed_float16 is refused.
        schedule : callable or (str, dict), optional
            One of ours, its name and arguments, or a function from the number of blocks to one. By
            default every block learns at the optimizer's rate.
        freeze : sequence of str
            Names of blocks or layers to freeze for good, as for `TFModel`, beside those that are
            not trainable already.
        frozen_batch_norm, inference_mode, cache
            As for `TFModel`.

        Raises
        ------
        ValueError
            If something is not possible here; the message names it.
        """
        _refuse(
            loss=(loss, isinstance(loss, (str, keras.losses.Loss)) or callable(loss)),
            loss_weights=(loss_weights, loss_weights is None),
            run_eagerly=(run_eagerly, not run_eagerly),
            steps_per_execution=(steps_per_execution, steps_per_execution == 1),
            jit_compile=(jit_compile, jit_compile in ("auto", False)),
        )
        goes_on = self._trainer is not None and optimizer is self.optimizer
        state = state_of(self._trainer) if goes_on else self._state
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            jit_compile=False,
            auto_scale_loss=auto_scale_loss,
        )
        if not goes_on:
            self._template = _checked(self.optimizer)
        values = schedule, freeze, frozen_batch_norm, inference_mode, cache
        self._own = dict(zip(OURS, values))
        self._trainer, self._state, self._left_out = None, state, None
        self._update = tf.function(self._updated, reduce_retracing=True)
        self._freeze(freeze)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Train, as Keras' `fit` does. Rows of arrays identify examples for the cache.

        Raises
        ------
        ValueError
            If a callback sets the optimizer's rate while a schedule sets those of the blocks.
        """
        self._check_fit(callbacks)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = array_slicing.train_validation_split(
                (x, y, sample_weight), validation_split=validation_split
            )
        with self._identified_by_rows(x, y) as rows:
            return super().fit(
                x=x if rows is None else rows,
                y=y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_data=validation_data,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )

    def make_train_function(self, force=False):
        """The function that `fit` calls for each batch."""
        self.train_function = self._train_next

    def get_config(self):
        """What makes the model again."""
        return {"network": keras.saving.serialize_keras_object(self.network), "name": self.name}

    @classmethod
    def from_config(cls, config):
        """The model with this config."""
        return cls(keras.saving.deserialize_keras_object(config["network"]), name=config["name"])

    def get_compile_config(self):
        """What `compile` was given; a schedule that Keras can't save is left out, with a line."""
        schedule = self._own["schedule"]
        if callable(schedule):
            made = make_schedule(self._schedule(), self._blocks())
            known = SCHEDULES.get(type(made).__name__) is type(made)
            if not known:
                logging.getLogger(__name__).warning(
                    "The schedule, %s, is not in the file: give it to compile again.",
                    getattr(schedule, "__name__", type(schedule).__name__),
                )
            schedule = [type(made).__name__, made.get_config()] if known else LEFT_OUT
        return {**super().get_compile_config(), **self._own, "schedule": schedule}

    def compile_from_config(self, config):
        """Compile as the saved model was."""
        config = keras.saving.deserialize_keras_object(config)
        left_out = config["schedule"] == LEFT_OUT
        spec = None if left_out or config["schedule"] is None else tuple(config["schedule"])
        self.compile(**{**config, "schedule": spec})
        self._left_out = left_out

    def save_own_variables(self, store):
        """Write the state of training: slots, iteration, and what a schedule saw."""
        state = state_of(self._trainer) if self._trainer else self._state
        for name, value in (state or {}).items():
            text = value.dtype.kind == "U"
            store[name.replace("/", ".")] = (
                np.frombuffer(str(value).encode(), np.uint8) if text else value
            )

    def load_own_variables(self, store):
        """Read what `save_own_variables` wrote."""
        state = {name.replace(".", "/"): np.asarray(store[name]) for name in [*store.keys()]}
        if state:
            state["run"] = np.array(state["run"].tobytes().decode())
        self._state, self._trainer = state or None, None

    def _flatten_metrics_in_order(self, logs):
        metrics = {name: value for name, value in logs.items() if name != "frozen"}
        return super()._flatten_metrics_in_order(metrics)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self._placed is None:
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _check_fit(self, callbacks):
        if self._left_out:
            raise ValueError("The file lacked the schedule: give it to compile again.")
        callbacks = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        both = [one for one in callbacks if isinstance(one, RATE_CALLBACKS)]
        if both and self._own["schedule"] is not None:
            raise ValueError(
                f"{type(both[0]).__name__} sets the optimizer's rate, and 'schedule' those of the "
                "blocks: give one of the two"
            )

    @contextlib.contextmanager
    def _identified_by_rows(self, x, y):
        """Within this context, batches are rows of these arrays; yields all rows, or None."""
        arrays = [isinstance(each, (np.ndarray, tf.Tensor)) for each in (x, y)]
        if not all(arrays):
            yield None
            return
        self._placed = tuple(
            place_once(each, tf.convert_to_tensor, None, "as given") for each in (x, y)
        )
        try:
            yield np.arange(len(x))
        finally:
            self._placed = None

    def _train_next(self, iterator):
        """Train on the next batch of an iterator; the logs."""
        x, y, weights = data_adapter_utils.unpack_x_y_sample_weight(next(iterator))
        ids = None
        if self._placed is not None:
            (images, labels), rows = self._placed, np.asarray(x)
        else:
            if isinstance(x, Identified):
                x, ids = x.inputs, np.asarray(x.id)
            images, labels = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
            rows = np.arange(len(images))
        trainer = self._begun(labels)
        given = None if weights is None else np.asarray(weights, np.float32)
        loss, logits = trainer.step(Examples(images, labels, rows, ids, given))
        self.optimizer._iterations.assign_add(1)  # noqa: SLF001 the public property counts updates
        logs = self._update(*_tensors(loss, y, logits, weights))
        return {**logs, "frozen": trainer.frozen}

    def _updated(self, loss, labels, logits, weights):
        """Metrics after a step."""
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(logits)[0])
        return self.compute_metrics(None, labels, logits, sample_weight=weights)

    def _begun(self, labels):
        """The trainer, made for labels of this shape and type if there is none."""
        if self._trainer is None:
            spec = tf.TensorSpec((None, *labels.shape[1:]), labels.dtype)
            self._build_compiled(spec)
            self._trainer = Trainer(
                self.network,
                self._template,
                self._schedule(),
                loss=KerasObjective(self._compile_loss, spec),
                preprocessing=AsGiven(),
                frozen_batch_norm=self._own["frozen_batch_norm"],
                inference_mode=inference_names(self.network, self._own["inference_mode"]),
                cache=self._own["cache"],
            )
            if self._state:
                restore(self._trainer, self._state)
            self._state = None
        return self._trainer

    def _build_compiled(self, labels):
        """Build loss and metrics for labels of a shape and type."""
        some = tf.zeros((2, *labels.shape[1:]), labels.dtype)
        outputs = tf.zeros((2, *self.network.output_shape[1:]))
        for part in (self._compile_loss, self._compile_metrics):
            if part is not None and not part.built:
                part.build(some, outputs)

    def _blocks(self):
        return len(self.network.layers) - 1

    def _schedule(self):
        """The schedule of the blocks."""
        given, blocks = self._own["schedule"], self._blocks()
        if given is None:
            return _OptimizersRate(self.optimizer, blocks)
        if callable(given) and not _is_schedule(given, blocks):
            given = given(blocks)
        return make_schedule(given, blocks)

    def _freeze(self, patterns):
        """Freeze what patterns name, and nothing else that was frozen so before."""
        for layer in self._frozen_here:
            set_trainable(layer, True)
        named = named_layers(self.network, patterns)
        self._frozen_here = [layer for layer in named if layer.trainable]
        for layer in named:
            layer.trainable = False


class _OptimizersRate:
    """The rate of an optimizer as it is now, for all blocks; it freezes nothing."""

    def __init__(self, optimizer, blocks):
        self.blocks, self._optimizer = blocks, optimizer
        self.last_iterations = np.full(blocks, np.inf)

    def __call__(self, iteration):
        """Rates, shape `(blocks,)`, float64; of 0, the least number above it."""
        rate = float(self._optimizer.learning_rate)
        return np.full(self.blocks, rate or float(np.finfo(np.float32).tiny))


def _tensors(*values):
    """Values as tensors; None stays."""
    return (None if value is None else tf.convert_to_tensor(value) for value in values)


def _is_schedule(given, blocks):
    """Whether a callable is a schedule, not a function from the number of blocks to one."""
    if hasattr(given, "last_iterations") or hasattr(given, "observe"):
        return True
    return not callable(given(blocks))


def _refuse(**arguments):
    """Refuse the first argument of `compile` that is not possible: pairs of value and whether."""
    for name, (value, possible) in arguments.items():
        if not possible:
            raise ValueError(f"BlockModel.compile can't do with this {name}. {received(value)}")


def _checked(optimizer):
    """The optimizer that those of the blocks are copies of."""
    if getattr(optimizer, "use_ema", False):
        raise ValueError("BlockModel.compile can't do with use_ema of an optimizer. Received: True")
    return make_optimizer(optimizer)
