"""`BlockModel`: a Keras model whose blocks freeze."""

import contextlib
import inspect

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils

from batch.keras_model import saved
from batch.keras_model.batches import Batches, Identified, unread
from batch.keras_model.distribution import Distributed, counts_by_weight
from batch.keras_model.freezing import freeze_here, say_what_freezes
from batch.keras_model.given import layers_of, network_of
from batch.keras_model.options import LEFT_OUT, Options
from batch.keras_model.possible import (
    check_callbacks,
    check_class,
    check_loss,
    check_rate,
    check_types,
    checked_optimizer,
    refuse,
)
from batch.keras_model.training import Training, build_for
from batch.networks import known
from batch.networks.freeze_by_name import inference_names
from batch.networks.keras_settings import check_settings
from batch.training.losses import KerasObjective

FIT = inspect.signature(keras.Model.fit)


@keras.saving.register_keras_serializable("resbatch")
class BlockModel(Distributed):
    """A `keras.Model` of blocks, which freeze for good or by a schedule.

    Frozen blocks leave the backward pass, and what leading ones compute is kept. Otherwise it
    trains as Keras does, with `uint8` cast, not divided; in a `MirroredStrategy`, on all devices.

    Parameters
    ----------
    model_or_blocks : keras.Sequential, sequence of keras.layers.Layer, or keras.Model
        Its layers are the blocks, the classifier last. They are used, not copied.
    cut : sequence of str, optional
        Of a functional model: names of the layers after which a block ends; by default as
        `as_blocks` cuts it.
    name : str, optional
    inputs, outputs : KerasTensor
        Of a functional model, in place of the model: as `keras.Model` takes them.

    Attributes
    ----------
    network : keras.Sequential
        Of the blocks.
    layers : list of keras.layers.Layer
        Those of the model that was given.

    Examples
    --------
    >>> layers = keras.layers
    >>> blocks = [layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(2)]
    >>> model = BlockModel([keras.Input((4, 4, 1)), *blocks])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("adam", loss, freeze=["conv"])
    >>> history = model.fit(keras.ops.zeros((6, 4, 4, 1)), keras.ops.zeros(6), verbose=0)
    >>> model.frozen
    2
    """

    def __init__(self, model_or_blocks=None, cut=None, name=None, *, inputs=None, outputs=None):
        super().__init__(name=name)
        check_settings()
        tensors = model_or_blocks, cut
        if any(isinstance(each, keras.KerasTensor) for each in tensors):  # as for keras.Model
            inputs, outputs, cut = model_or_blocks, cut, None
        given = model_or_blocks if inputs is None else keras.Model(inputs, outputs)
        self.network = network_of(given, cut)
        self.use_first_device()
        self.built = self.network.built
        self._options, self._training = Options(), Training()
        self._batches, self._held_out = Batches(), Batches()
        self._evaluates_rows = self._begins_fit = False

    @property
    def frozen(self):
        """Leading blocks that were frozen in the last step."""
        return self._training.trainer.frozen if self._training.trainer else 0

    @property
    def rates(self):
        """Rates of the blocks and, last, the classifier in the last step; None before the first."""
        return self._training.trainer.rates if self._training.trainer else None

    @property
    def layers(self):
        """Those of the model that was given."""
        return layers_of(self.network)

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
            One of ours, its name and arguments, or a function from the number of blocks to one. If
            it has two arguments, it is called when `fit` begins, with the number of blocks and of
            steps in an epoch, as `lambda blocks, steps: FreezeOut(blocks, 10 * steps, 0.1)`. By
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
        check_class(type(self), BlockModel)
        check_loss(loss, self.strategy)
        refuse(
            loss_weights=(loss_weights, loss_weights is None),
            run_eagerly=(run_eagerly, not run_eagerly),
            steps_per_execution=(steps_per_execution, steps_per_execution == 1),
            jit_compile=(jit_compile, jit_compile in ("auto", False)),
        )
        before, optimizer = self._training, keras.optimizers.get(optimizer)
        self.use_first_device(optimizer, metrics, weighted_metrics)
        same = before.template is not None and optimizer is self.optimizer
        goes_on = same or (before.lacks_schedule and type(optimizer) is type(self.optimizer))
        template = before.template if same else checked_optimizer(optimizer)
        options = Options(schedule, freeze, frozen_batch_norm, inference_mode, cache)
        options.check(self.network, optimizer)
        check_types(self.network)
        state = before.state_now() if goes_on else {}
        frozen_here = freeze_here(self.network, freeze, before.frozen_here)
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            jit_compile=False,
            auto_scale_loss=False,
        )
        self.use_first_device(template)
        say_what_freezes(self.network, schedule is not None)
        self._training, self._options = Training(template, state, frozen_here), options
        self._training.rate = float(optimizer.learning_rate)
        self._update = tf.function(self._updated, reduce_retracing=True)

    def fit(self, *arguments, **named):
        """Train, as Keras' `fit` does, with its arguments.

        Rows of arrays identify examples for the cache.

        Raises
        ------
        ValueError
            If a callback sets the optimizer's rate while a schedule sets those of the blocks, or a
            schedule counts epochs and it is not known how many steps they have.
        """
        bound = FIT.bind(self, *arguments, **named)
        bound.apply_defaults()
        given = {name: bound.arguments[name] for name in list(FIT.parameters)[1:]}
        if self._training.lacks_schedule:
            raise ValueError("The file lacked the schedule: give it to compile again.")
        check_callbacks(given["callbacks"], self._options.schedule)
        self._training.forget_if_changed()
        if given["validation_split"] and given["validation_data"] is None:
            whole = given["x"], given["y"], given["sample_weight"]
            parts = array_slicing.train_validation_split(whole, given["validation_split"])
            (given["x"], given["y"], given["sample_weight"]), given["validation_data"] = parts
        with (
            self._batches.of(given["x"], given["y"]) as given["x"],
            self._held_out_rows(given["validation_data"]) as given["validation_data"],
        ):
            self._begins_fit = True
            try:
                return super().fit(**given)
            finally:
                self._begins_fit = False

    fit.__signature__ = FIT

    def evaluate(self, x=None, *args, **kwargs):
        """As Keras' `evaluate`."""
        after_epoch = kwargs.get("_use_cached_eval_dataset", False)
        self._evaluates_rows = after_epoch and self._held_out.are_rows
        if self._evaluates_rows:
            self._training.forget_if_changed()
            self._training.validation(*self._held_out.placed).begin()
        try:
            return super().evaluate(unread(x), *args, **kwargs)
        finally:
            self._evaluates_rows = False

    def predict(self, x, *args, **kwargs):
        """As Keras' `predict`."""
        return super().predict(unread(x), *args, **kwargs)

    def make_test_function(self, force=False):
        """The function that `evaluate` calls for each batch."""
        if self._evaluates_rows:
            self.test_function = self._test_next
            return
        if self.test_function == self._test_next:
            self.test_function = None
        super().make_test_function(force)

    def make_train_function(self, force=False):
        """The function that `fit` calls for each batch."""
        self.train_function = self._train_next

    def export(self, *arguments, **named):
        """As Keras' `export`; what is written is the network."""
        self.network.export(*arguments, **named)

    def get_config(self):
        """What makes the model again."""
        return {"network": keras.saving.serialize_keras_object(self.network), "name": self.name}

    @classmethod
    def from_config(cls, config):
        """The model with this config."""
        return cls(known.deserialize(config["network"]), name=config["name"])

    def get_compile_config(self):
        """What `compile` was given; a schedule that Keras can't save is left out, with a line."""
        trainer = self._training.trainer
        cache = trainer.cache.storage if trainer else self._options.cache
        own = self._options.to_config(self.network, cache)
        return {**super().get_compile_config(), **own}

    def compile_from_config(self, config):
        """Compile as the saved model was."""
        config = known.deserialize(config)
        lacks = config["schedule"] == LEFT_OUT
        schedule = None if lacks else config["schedule"]
        self.compile(**{**config, "schedule": schedule and tuple(schedule)})
        self._training.lacks_schedule = lacks

    def save_own_variables(self, store):
        """Write the state of training: slots, iteration, and what a schedule saw."""
        saved.write(self._training.state_now(), store)

    def load_own_variables(self, store):
        """Read what `save_own_variables` wrote."""
        self._training.set_state(saved.read(store))

    def set_weights(self, weights):
        """As Keras' `set_weights`."""
        super().set_weights(weights)
        self._training.forget_if_changed()

    def _flatten_metrics_in_order(self, logs):
        metrics = {name: value for name, value in logs.items() if name != "frozen"}
        return super()._flatten_metrics_in_order(metrics)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self._begins_fit:
            self._begins_fit = False
            self._options = self._options.at_epochs_of(iterator.num_batches, self.network)
        if not self._batches.are_rows:
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _train_next(self, iterator):
        """Train on the next batch of an iterator; the logs."""
        examples, labels, weights = self._batches.read(next(iterator))
        check_rate(self.optimizer, self._training.rate, self._options.schedule)
        trainer = self._begun(examples)
        loss, logits = self._training.step(examples)
        self.optimizer._iterations.assign_add(1)  # noqa: SLF001 the public property counts updates
        logs = self._update(tf.constant(loss), labels, logits, weights)
        return {**logs, "frozen": trainer.frozen}

    @contextlib.contextmanager
    def _held_out_rows(self, data):
        """Within this context, validation data that are arrays are rows of these; yields them."""
        if not isinstance(data, (tuple, list)) or len(data) < 2:
            yield data
        elif self._options.frozen_batch_norm != "inference":
            yield (unread(data[0]), *data[1:])
        else:
            with self._held_out.of(*data[:2]) as inputs:
                yield (inputs, *data[1:])

    def _test_next(self, iterator):
        """Evaluate the next batch of an iterator; the logs."""
        rows, labels, weights = data_adapter_utils.unpack_x_y_sample_weight(next(iterator))
        validation = self._training.validation(*self._held_out.placed)
        loss, logits = validation(np.asarray(rows), weights)
        return self._update(loss, labels, logits, weights)

    def _updated(self, loss, labels, logits, weights):
        """Metrics after a step."""
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(logits)[0])
        return self.compute_metrics(None, labels, logits, sample_weight=weights)

    def _begun(self, examples):
        """The trainer, made for what these examples are if there is none for such."""
        training = self._training
        if training.trainer is not None and not training.takes(examples):
            training.set_state(training.state_now())
        if training.trainer is None:
            if not self.network.built:
                self.network.build((None, *examples.images.shape[1:]))
                self.built = True
            labels = examples.labels
            spec = tf.TensorSpec((None, *labels.shape[1:]), labels.dtype)
            build_for(spec, self.network.output_shape, self._compile_loss, self._compile_metrics)
            options = self._options
            training.begin(
                self.network,
                schedule=options.schedule_of(self.network, self.optimizer),
                loss=KerasObjective(self._compile_loss, spec, counts_by_weight(self.loss)),
                strategy=self.strategy,
                frozen_batch_norm=options.frozen_batch_norm,
                inference_mode=inference_names(self.network, options.inference_mode),
                cache=options.cache,
            )
        return training.trainer
