"""Evaluation while a run goes on: when, on which images, and by which metrics."""

import dataclasses

import numpy as np

from research.names import METRICS, top_k

FETCHES = {"loss": "loss", "cross_entropy": "data_loss", "accuracy": "output_accuracy"}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """When to evaluate, and how.

    Attributes
    ----------
    every : int, optional
        Iterations from one evaluation to the next, beside one after the first iteration and one
        after the last; by default one after every epoch and after the last iteration.
    batches : int, optional
        Batches of images to evaluate on, the same ones each time, drawn by the seed; the whole
        split by default.
    metrics : sequence of str
        cross_entropy, accuracy, top5 (or another number).
    """

    every: int | None = None
    batches: int | None = None
    metrics: tuple = METRICS

    def on(self, experiment, data):
        """The evaluation of one run.

        Raises
        ------
        ValueError
            If there are not as many images, or a metric is 1 whatever the network says.
        """
        return RunEvaluation(self, experiment, data)


class RunEvaluation:
    """The evaluation of one run, on its test (or held-out) split."""

    def __init__(self, evaluation, experiment, data):
        self._evaluation = evaluation
        self._experiment = experiment
        self._split = data.test
        self._epoch = len(data.train.labels)
        self._rows = self._chosen(data.name)
        self.metrics = evaluation.metrics
        useless = [name for name in self.metrics if (top_k(name) or 0) >= data.classes]
        if useless:
            raise ValueError(f"{useless[0]} is always 1: {data.name} has {data.classes} classes")

    def due(self, iterations):
        """Whether to evaluate after so many iterations."""
        if iterations == self._experiment.iterations:
            return True
        if self._evaluation.every:
            return iterations == 1 or iterations % self._evaluation.every == 0
        return self._epochs(iterations) > self._epochs(iterations - 1)

    def evaluate(self, model, history):
        """What is known of a run after an iteration.

        Returns
        -------
        dict
            `epoch`, whole ones, `epochs` and `iteration`; since the last evaluation `steps`, their
            `steps_seconds`, and `train_loss`, their mean; of so many `images` in inference mode
            `val_loss`, `val_err`, in percent, and under `eval` the metrics by their names; `active`
            blocks; `seconds` of all training.
        """
        iterations = len(history)
        before = next((i for i in range(iterations - 1, 0, -1) if self.due(i)), 0)
        values = self._values(model)
        return {
            "epoch": self._epochs(iterations),
            "epochs": round(iterations * self._experiment.batch_size / self._epoch, 4),
            "iteration": iterations,
            "steps": iterations - before,
            "steps_seconds": sum(history.seconds[before:]),
            "train_loss": float(np.mean(history.loss[before:])),
            "images": len(self._split.labels) if self._rows is None else len(self._rows),
            "val_loss": values["loss"],
            "val_err": 100 * (1 - values["accuracy"]),
            "eval": {name: values[name] for name in self.metrics},
            "active": len(model.network.layers) - 1 - model.frozen,
            "seconds": sum(history.seconds),
        }

    def _values(self, model):
        names = list(dict.fromkeys(("loss", *METRICS, *self.metrics)))
        fetches = [FETCHES.get(name) or f"output_top_{top_k(name)}" for name in names]
        images, labels = self._split.images, self._split.labels
        return dict(zip(names, model.predict(images, labels, fetches=fetches, rows=self._rows)))

    def _chosen(self, name):
        if self._evaluation.batches is None:
            return None
        wanted = self._evaluation.batches * self._experiment.batch_size
        given = len(self._split.labels)
        if wanted > given:
            raise ValueError(
                f"An evaluation on {self._evaluation.batches} batches of "
                f"{self._experiment.batch_size} images takes {wanted:,}, and {name} has {given:,} "
                "to evaluate on."
            )
        return np.random.default_rng(self._experiment.seed).permutation(given)[:wanted]

    def _epochs(self, iterations):
        return iterations * self._experiment.batch_size // self._epoch
