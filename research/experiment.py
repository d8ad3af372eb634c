"""One run: its whole configuration, and what carries it out in a BatchFlow pipeline."""

import dataclasses
import time

from batchflow import Dataset, DatasetIndex

from batch import ResBatch, flops, res_batch
from batch.config import make_schedule
from utils.data import load_data
from utils.history import History


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The configuration of a run.

    Attributes
    ----------
    data : str
        Name or path, as for `utils.load_data`.
    method : {'classic', 'annealed', 'freezeout'}
        A constant rate; the curve of FreezeOut's last block for every block; FreezeOut.
    iterations : int
        Length of the run.
    batch_size : int
        Images in an iteration.
    seed : int
        Of the initial weights and of the order of the batches.
    freeze_iterations : int, optional
        Last iteration of the schedules; the run's last by default.
    precision : {'float32', 'bfloat16'}
    """

    data: str = "digits"
    method: str = "classic"
    iterations: int = 150
    batch_size: int = 300
    seed: int = 0
    freeze_iterations: int | None = None
    precision: str = "float32"

    def freezing(self):
        """The settings of the method's schedule: the pipelines' defaults."""
        settings = {key: res_batch.DEFAULTS["freeznet"][key] for key in res_batch.FREEZING}
        settings["iteration"] = self.freeze_iterations or self.iterations
        return settings

    def schedule(self):
        """The method's schedule as a model's config takes it; None for a constant rate."""
        if self.method == "classic":
            return None
        name, settings = res_batch.with_freezing(self.freezing())["schedule"]
        return ("Annealed" if self.method == "annealed" else name), settings


def run(experiment, data=None, on_iteration=None):
    """Carry out an experiment: train in one pipeline, test in another.

    Parameters
    ----------
    experiment : Experiment
    data : utils.Data, optional
        What `experiment.data` names, if it is loaded already.
    on_iteration : callable, optional
        Called with the history after every iteration.

    Returns
    -------
    history : History
    model : TFModel
        The trained model.

    Raises
    ------
    ValueError
        If the batch is larger than the training split.
    TrainingError
        If the loss is not finite.
    """
    data = data or load_data(experiment.data)
    check(experiment, data)
    name, losses, pipeline = training_pipeline(experiment, data)
    history = History(experiment.method, experiment.seed)
    for _ in range(experiment.iterations):
        start = time.perf_counter()
        pipeline.next_batch(experiment.batch_size, n_epochs=None, shuffle=experiment.seed)
        seconds = time.perf_counter() - start
        history.append(losses[-1], seconds, pipeline.m(name).frozen)
        if on_iteration:
            on_iteration(history)
    history.accuracy = test_accuracy(name, pipeline, data.test)
    return history, pipeline.m(name)


def check(experiment, data):
    """Refuse an experiment that these data can't carry, before any work is done."""
    if experiment.batch_size > len(data.train.labels):
        raise ValueError(
            f"A batch must not be larger than the training split: {experiment.batch_size} images, "
            f"but {data.name} has {len(data.train.labels)}"
        )


def training_pipeline(experiment, data):
    """The chained pipeline of a method.

    Returns
    -------
    name : str
        Of the model in the pipeline.
    losses : list
        Grows by one float with every batch.
    pipeline : batchflow.Pipeline
    """
    losses = []
    shared = {
        "seed": experiment.seed,
        "classes": data.classes,
        "precision": experiment.precision,
    }
    dataset = Dataset(DatasetIndex(len(data.train.labels)), ResBatch)
    images, labels = data.train.images, data.train.labels
    if experiment.method == "classic":
        pipeline = dataset.pipeline(config={"resnet": shared})
        return "resnet", losses, pipeline.train_res(losses, images, labels)
    settings = {"schedule": experiment.schedule()}
    pipeline = dataset.pipeline(config={"freeznet": {**shared, **settings}})
    return "freeznet", losses, pipeline.train_freez(losses, images, labels)


def test_accuracy(name, training, split):
    """Accuracy of a pipeline's model on a whole split, in a pipeline of its own."""
    accuracies = []
    rows = len(split.labels)
    pipeline = (
        Dataset(DatasetIndex(rows), ResBatch)
        .p.import_model(name, training)
        .test(name, accuracies, split.images, split.labels)
    )
    pipeline.next_batch(rows, n_epochs=1)
    return accuracies[0]


def predicted_ratio(experiment, network):
    """Time of a run over that of a classic one, as the FLOPs of its stages predict it."""
    schedule = experiment.schedule()
    if schedule is None:
        return 1.0
    made = make_schedule(schedule, len(network.layers) - 1)
    return flops.predicted_ratio(flops.block_costs(network), made, experiment.iterations)
