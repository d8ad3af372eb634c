"""One run: an experiment trained in a BatchFlow pipeline, with callbacks; it can be resumed."""

import dataclasses
import functools
import hashlib
import json
import time
import warnings

import numpy as np
from batchflow import Dataset, DatasetIndex

from batch import ResBatch
from batch.data.checkpoint import CheckpointError
from batch.data.data import load_data
from batch.data.history import History
from batch.data.mapped import slices
from batch.models.named import MODELS
from research.experiments import bases
from research.experiments.cache_memory import settled
from research.experiments.experiment import Experiment, check
from research.experiments.prediction import own_lengths
from research.interruption import finished_first
from research.methods import loading

GIVEN_AGAIN = ("schedule", "loss", "output")  # may be functions, which no checkpoint holds


class Run:
    """An experiment under way: trained in one pipeline, some iterations at a time.

    Parameters
    ----------
    experiment : Experiment
    data : utils.Data
    callbacks : sequence of research.running.callbacks.Callback
    evaluation : Evaluation, optional
        When the network is evaluated, and on what; only after the last iteration by default.

    Attributes
    ----------
    experiment : Experiment
        With a number of bytes where its cache was 'auto'; that of the checkpoint it goes on from.
    history : History
        Its accuracy is known once the run is done.
    indices : ndarray
        Rows of the training split that the last batch had.

    Raises
    ------
    ValueError
        If the batch is larger than the training split, or the evaluation than the test split.
    """

    def __init__(self, experiment, data, callbacks=(), evaluation=None):
        check(experiment, data)
        self._asked = experiment.cache
        self.experiment = settled({"it": experiment})["it"]
        self.data = data
        self.history = History(experiment.label, experiment.seed, rates=[])
        self.callbacks = list(callbacks)
        self.indices = None
        self._evaluation = evaluation.on(experiment, data) if evaluation else None
        self._losses = []
        self._pipeline = self._training_pipeline()

    @property
    def model(self):
        """The model, once there was an iteration."""
        return self._pipeline.m(self.experiment.trained_by.model)

    @functools.cached_property
    def identity(self):
        """What the run is, in plain values: experiment, training images, code of an own method."""
        split, base = self.data.train, self.experiment.base
        digest = hashlib.sha256()
        for rows in slices(split.images):
            digest.update(np.ascontiguousarray(split.images[rows]))
        digest.update(np.ascontiguousarray(split.labels))
        own = loading.digest(self.experiment.trained_by)
        return {
            **_settings(self.experiment),
            "method": self.experiment.label,
            **({} if own is None else {"method_sha256": own}),
            **({"base_sha256": bases.digest(base)} if base else {}),
            "image_shape": split.images.shape[1:],
            "train_images": len(split.labels),
            "train_sha256": digest.hexdigest(),
        }

    @property
    def done(self):
        """Whether all iterations are made."""
        return len(self.history) >= self.experiment.iterations

    def advance(self, iterations):
        """Make so many iterations, or those that are left; after the last, test.

        Raises
        ------
        TrainingError
            If the loss is not finite.
        """
        with loading.errors_named(self.experiment.trained_by):
            for _ in range(min(iterations, self.experiment.iterations - len(self.history))):
                with finished_first():
                    self._iterate()
        if self.done and self.history.accuracy is None:
            self.history.accuracy = self._test()
            self.history.cache = self.model.trainer.cache.stats()
            for callback in self.callbacks:
                callback.on_train_end(self)

    def settle(self):
        """Wait for this run's other threads, and count that as time of the run."""
        start = time.perf_counter()
        self.model.trainer.settle()
        self.history.seconds[-1] += time.perf_counter() - start

    def resume(self, checkpoints):
        """Go on from the newest checkpoint, if there is one, as if there had been no interruption.

        Parameters
        ----------
        checkpoints : batch.data.checkpoint.Checkpoints

        Raises
        ------
        CheckpointError
            If it is not whole, or of another experiment.
        """
        newest = checkpoints.newest()
        if newest is None:
            return
        recorded = newest.run.get("cache")
        if self._asked == "auto" and not isinstance(recorded, (str, type(None))):
            self.experiment = dataclasses.replace(self.experiment, cache=recorded)
        self._check_same(newest)
        config = self.experiment.config(self.data)
        again = {key: config[key] for key in GIVEN_AGAIN if key in config}
        model = MODELS[self.experiment.model](
            {"load": {"path": newest.model}, "cache": self.experiment.cache, **again}
        )
        self._pipeline.models.add_model(self.experiment.trained_by.model, model)
        self.history = newest.history
        skipped = self._pipeline.dataset.p  # without actions; the batches follow from the seed
        for _ in range(len(self.history)):
            skipped.next_batch(**self._batches())
        self._pipeline.iter_params.update(skipped.iter_params)

    def _check_same(self, checkpoint):
        ours = json.loads(json.dumps(self.identity))
        # A setting that came after the checkpoint was written had its default then.
        defaults = json.loads(json.dumps(_settings(Experiment())))
        silent = ("cache", "image_shape")  # of which older checkpoints say nothing
        defaults.update({name: ours[name] for name in silent})
        theirs = {**dict.fromkeys(ours), **defaults, **checkpoint.run}
        differing = [name for name in ours if ours[name] != theirs[name]]
        if differing:
            values = ", ".join(f"{name} {theirs[name]}, not {ours[name]}" for name in differing)
            raise CheckpointError(f"{checkpoint.folder} is of a run with {values}")

    def _iterate(self):
        start = time.perf_counter()
        with warnings.catch_warnings():  # batches that straddle epochs may hold an image twice
            warnings.filterwarnings("ignore", "Index contains non-unique elements", UserWarning)
            batch = self._pipeline.next_batch(**self._batches())
        if len(self.history) + 1 == self.experiment.iterations:
            self.model.trainer.settle()  # what other threads do is part of the run
        seconds = time.perf_counter() - start
        self.indices = batch.indices
        self.history.append(self._losses.pop(), seconds, self.model.frozen)
        self.history.append_rates(self.model.trainer.rates)
        if self._evaluation and self._evaluation.due(len(self.history)):
            self._evaluate()
        for callback in self.callbacks:
            callback.on_train_batch_end(self)

    def _evaluate(self):
        logs = self._evaluation.evaluate(self.model, self.history)
        for callback in self.callbacks:
            callback.on_test_end(self, logs)

    def _batches(self):
        size, seed = self.experiment.batch_size, self.experiment.seed
        return {"batch_size": size, "n_epochs": None, "shuffle": seed}

    def _training_pipeline(self):
        """The chained pipeline of the method; `_losses` grows by one float with every batch."""
        method, split = self.experiment.trained_by, self.data.train
        config = {
            **self.experiment.config(self.data),
            "model": self.experiment.model,
            "classes": self.data.classes,
        }
        dataset = Dataset(DatasetIndex(len(split.labels)), ResBatch)
        train = getattr(dataset.pipeline(config={method.model: config}), method.action)
        return train(self._losses, split.images, split.labels)

    def _test(self):
        """Accuracy on the whole test split, in a pipeline of its own."""
        accuracies, split = [], self.data.test
        rows, model = len(split.labels), self.experiment.trained_by.model
        pipeline = (
            Dataset(DatasetIndex(rows), ResBatch)
            .p.import_model(model, self._pipeline)
            .test(model, accuracies, split.images, split.labels)
        )
        pipeline.next_batch(rows, n_epochs=1)
        return accuracies[0]


def run(experiment, data=None, callbacks=(), evaluation=None):
    """Train an experiment.

    Parameters
    ----------
    experiment, callbacks, evaluation
        As for `Run`.
    data : utils.Data, optional
        What `experiment.data` names, if it is loaded already.

    Returns
    -------
    history : History
    model : TFModel
        The trained model.
    """
    data = data or load_data(experiment.data)
    experiment = own_lengths({"it": experiment}, data)["it"]
    made = Run(experiment, data, callbacks, evaluation)
    made.advance(experiment.iterations)
    return made.history, made.model


def _settings(experiment):
    return {field.name: getattr(experiment, field.name) for field in dataclasses.fields(experiment)}
