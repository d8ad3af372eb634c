"""`BlockModel`: a Keras model whose blocks freeze."""

import contextlib
import re

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils

from batch.keras_model import saved
from batch.keras_model.batches import Batches, Identified, unread
from batch.keras_model.options import LEFT_OUT, Options
from batch.keras_model.possible import check_types, checked_optimizer, refuse, refuse_rates_of
from batch.keras_model.training import Training
from batch.models.network import read_layers
from batch.networks import known
from batch.networks.freeze_by_name import inference_names, named_layers, set_trainable
from batch.networks.keras_models import as_blocks
from batch.networks.keras_settings import check_settings
from batch.training.losses import KerasObjective


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
        Of a functional model: names of the layers after which a block ends; by default as
        `as_blocks` cuts it.
    name : str, optional

    Attributes
    ----------
    network : keras.Sequential
        Of the blocks.

    Examples
    --------
    ::

        model = BlockModel(keras.applications.ResNet50(…))
        model.compile("adam", "sparse_categorical_crossentropy", freeze=["conv[2-4].*"])
        model.fit(images, labels, epochs=10)
    """

    def __init__(self, model_or_blocks, cut=None, name=None):
        super().__init__(name=name)
        check_settings()
        self.network = _network(model_or_blocks, cut)
        self.built = self.network.built
        self._options, self._training = Options(), Training()
        self._batches, self._held_out, self._evaluates_rows = Batches(), Batches(), False

    @property
    def frozen(self):
        """Leading blocks that were frozen in the last step."""
        return self._training.trainer.frozen if self._training.trainer else 0

    @property
    def rates(self):
        """Rates of the blocks and, last, the classifier in the last step; None before the first."""
        return self._training.trainer.rates if self._training.trainer else None

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
        refuse(
            loss=(loss, isinstance(loss, (str, keras.losses.Loss)) or callable(loss)),
            loss_weights=(loss_weights, loss_weights is None),
            run_eagerly=(run_eagerly, not run_eagerly),
            steps_per_execution=(steps_per_execution, steps_per_execution == 1),
            jit_compile=(jit_compile, jit_compile in ("auto", False)),
        )
        before = self._training
        goes_on = before.trainer is not None and optimizer is self.optimizer
        super().compile(
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            jit_compile=False,
            auto_scale_loss=auto_scale_loss,
        )
        template = before.template if goes_on else checked_optimizer(self.optimizer)
        state = before.state_now() if goes_on else before.state
        self._training = Training(template, state, before.frozen_here)
        self._options = Options(schedule, freeze, frozen_batch_norm, inference_mode, cache)
        self._update = tf.function(self._updated, reduce_retracing=True)
        self._freeze(freeze)
        self._options.check(self.network, self.optimizer)
        check_types(self.network)

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
        with self._batches.of(x, y) as inputs, self._held_out_rows(validation_data) as held_out:
            return super().fit(
                x=inputs,
                y=y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_data=held_out,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )

    def evaluate(self, x=None, *args, **kwargs):
        """As Keras' `evaluate`."""
        after_epoch = kwargs.get("_use_cached_eval_dataset", False)
        self._evaluates_rows = after_epoch and self._held_out.are_rows
        if self._evaluates_rows:
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
        self._training.state, self._training.trainer = saved.read(store), None

    def _flatten_metrics_in_order(self, logs):
        metrics = {name: value for name, value in logs.items() if name != "frozen"}
        return super()._flatten_metrics_in_order(metrics)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if not self._batches.are_rows:
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _check_fit(self, callbacks):
        if self._training.lacks_schedule:
            raise ValueError("The file lacked the schedule: give it to compile again.")
        if self._options.schedule is not None:
            refuse_rates_of(callbacks)

    def _train_next(self, iterator):
        """Train on the next batch of an iterator; the logs."""
        examples, labels, weights = self._batches.read(next(iterator))
        trainer = self._begun(examples)
        loss, logits = trainer.step(examples)
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
        """The trainer, made for what these examples are if there is none."""
        if self._training.trainer is None:
            if not self.network.built:
                self.network.build((None, *examples.images.shape[1:]))
            labels = examples.labels
            spec = tf.TensorSpec((None, *labels.shape[1:]), labels.dtype)
            self._build_compiled(spec)
            options = self._options
            self._training.begin(
                self.network,
                schedule=options.schedule_of(self.network, self.optimizer),
                loss=KerasObjective(self._compile_loss, spec),
                frozen_batch_norm=options.frozen_batch_norm,
                inference_mode=inference_names(self.network, options.inference_mode),
                cache=options.cache,
            )
        return self._training.trainer

    def _build_compiled(self, labels):
        """Build loss and metrics for labels of a shape and type."""
        some = tf.zeros((2, *labels.shape[1:]), labels.dtype)
        outputs = tf.zeros((2, *self.network.output_shape[1:]))
        for part in (self._compile_loss, self._compile_metrics):
            if part is not None and not part.built:
                part.build(some, outputs)

    def _freeze(self, patterns):
        """Freeze what patterns name; what was frozen so before, and is not named now, thaws."""
        if len(patterns) and not self.network.built:
            raise ValueError("To freeze layers, begin the network with keras.Input(shape)")
        for layer in named_layers(self.network, self._training.frozen_here).values():
            set_trainable(layer, True)
        named = named_layers(self.network, patterns)
        here = [re.escape(name) for name, layer in named.items() if layer.trainable]
        for layer in named.values():
            layer.trainable = False
        self._training.frozen_here = here


def _network(given, cut):
    """The blocks as one network."""
    if cut is not None or (hasattr(given, "operations") and not hasattr(given, "add")):
        given = as_blocks(given, cut)
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], keras.KerasTensor):
        given = keras.Sequential(given)
    layers = read_layers(given)
    if isinstance(given, keras.Sequential):
        return given
    begin = [keras.Input(layers[0].input.shape[1:])] if layers[0].built else []
    return keras.Sequential([*begin, *layers])
