"""One run: an experiment carried out in a BatchFlow pipeline, watched, and taken up again."""

import dataclasses
import functools
import hashlib
import json
import time

import numpy as np
from batchflow import Dataset, DatasetIndex

from batch import ResBatch
from batch.data.data import load_data
from batch.data.history import History
from batch.models.checkpoint import CheckpointError
from batch.models.named import MODELS
from research.experiment import check

ACTIONS = {"resnet": "train_res", "freeznet": "train_freez", "stochastic": "train_stochastic"}


class Watcher:
    """Looks on while a run goes; what it does must not change the run."""

    def evaluated(self, run, found):
        """After every evaluation; `found` is what `RunEvaluation.evaluate` gives."""

    def iterated(self, run):
        """After every iteration, and after its evaluation."""


class Run:
    """An experiment under way: trained in one pipeline, as far as it is told to go.

    Parameters
    ----------
    experiment : Experiment
    data : utils.Data
    watchers : sequence of Watcher
    evaluation : Evaluation, optional
        When the network is evaluated, and on what; only after the last iteration by default.

    Attributes
    ----------
    history : History
        Its accuracy is known once the run is done.
    indices : ndarray
        Rows of the training split that the last batch had.

    Raises
    ------
    ValueError
        If the batch is larger than the training split, or the evaluation than the test split.
    """

    def __init__(self, experiment, data, watchers=(), evaluation=None):
        check(experiment, data)
        self.experiment = experiment
        self.data = data
        self.history = History(experiment.method, experiment.seed)
        self.watchers = list(watchers)
        self.indices = None
        self._evaluation = evaluation.on(experiment, data) if evaluation else None
        self._losses = []
        self._pipeline = self._training_pipeline()

    @property
    def model(self):
        """The model, once there was an iteration."""
        return self._pipeline.m(self.experiment.kind)

    @functools.cached_property
    def identity(self):
        """What the run is, in plain values: the experiment, and what tells its training images."""
        split = self.data.train
        digest = hashlib.sha256(np.ascontiguousarray(split.images))
        digest.update(np.ascontiguousarray(split.labels))
        experiment = dataclasses.asdict(self.experiment)
        del experiment["cache"]  # it changes nothing but time
        return {
            **experiment,
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
        for _ in range(min(iterations, self.experiment.iterations - len(self.history))):
            self._iterate()
        if self.done and self.history.accuracy is None:
            self.history.accuracy = self._test()
            self.history.cache = self.model.trainer.cache.stats()

    def settle(self):
        """Let this run's other threads finish on its own time."""
        start = time.perf_counter()
        self.model.trainer.settle()
        self.history.seconds[-1] += time.perf_counter() - start

    def take_up(self, checkpoints):
        """Go on from the newest checkpoint, if there is one, as if there had been no interruption.

        Parameters
        ----------
        checkpoints : batch.checkpoint.Checkpoints

        Raises
        ------
        CheckpointError
            If it is not whole, or of another experiment.
        """
        newest = checkpoints.newest()
        if newest is None:
            return
        self._check_same(newest)
        model = MODELS[self.experiment.model](
            {"load": {"path": newest.model}, "cache": self.experiment.cache}
        )
        self._pipeline.models.add_model(self.experiment.kind, model)
        self.history = newest.history
        skipped = self._pipeline.dataset.p  # without actions; the batches follow from the seed
        for _ in range(len(self.history)):
            skipped.next_batch(**self._batches())
        self._pipeline.iter_params.update(skipped.iter_params)

    def _check_same(self, checkpoint):
        ours, theirs = json.loads(json.dumps(self.identity)), checkpoint.run
        differing = [name for name in ours if ours[name] != theirs.get(name)]
        if differing:
            told = ", ".join(f"{name} {theirs.get(name)}, not {ours[name]}" for name in differing)
            raise CheckpointError(f"{checkpoint.folder} is of a run with {told}")

    def _iterate(self):
        start = time.perf_counter()
        batch = self._pipeline.next_batch(**self._batches())
        if len(self.history) + 1 == self.experiment.iterations:
            self.model.trainer.settle()  # what other threads do is part of the run
        seconds = time.perf_counter() - start
        self.indices = batch.indices
        self.history.append(self._losses.pop(), seconds, self.model.frozen)
        if self._evaluation and self._evaluation.due(len(self.history)):
            self._evaluate()
        for watcher in self.watchers:
            watcher.iterated(self)

    def _evaluate(self):
        found = self._evaluation.evaluate(self.model, self.history)
        for watcher in self.watchers:
            watcher.evaluated(self, found)

    def _batches(self):
        one = self.experiment
        return {"batch_size": one.batch_size, "n_epochs": None, "shuffle": one.seed}

    def _training_pipeline(self):
        """The chained pipeline of the method; `_losses` grows by one float with every batch."""
        kind, split = self.experiment.kind, self.data.train
        config = {
            **self.experiment.config(self.data),
            "model": self.experiment.model,
            "classes": self.data.classes,
        }
        dataset = Dataset(DatasetIndex(len(split.labels)), ResBatch)
        train = getattr(dataset.pipeline(config={kind: config}), ACTIONS[kind])
        return train(self._losses, split.images, split.labels)

    def _test(self):
        """Accuracy on the whole test split, in a pipeline of its own."""
        accuracies, split = [], self.data.test
        rows = len(split.labels)
        pipeline = (
            Dataset(DatasetIndex(rows), ResBatch)
            .p.import_model(self.experiment.kind, self._pipeline)
            .test(self.experiment.kind, accuracies, split.images, split.labels)
        )
        pipeline.next_batch(rows, n_epochs=1)
        return accuracies[0]


def run(experiment, data=None, watchers=(), evaluation=None):
    """Carry out an experiment.

    Parameters
    ----------
    experiment, watchers, evaluation
        As for `Run`.
    data : utils.Data, optional
        What `experiment.data` names, if it is loaded already.

    Returns
    -------
    history : History
    model : TFModel
        The trained model.
    """
    one = Run(experiment, data or load_data(experiment.data), watchers, evaluation)
    one.advance(experiment.iterations)
    return one.history, one.model
