"""One run: its whole configuration, and what carries it out in a BatchFlow pipeline."""

import dataclasses
import time

from batchflow import Dataset, DatasetIndex

from batch import ResBatch, flops, res_batch
from batch.config import make_schedule
from utils.data import load_data
from utils.history import History

PIPELINES = {  # of each method: its model, and the action that trains it
    "classic": ("resnet", "train_res"),
    "annealed": ("freeznet", "train_freez"),
    "freezeout": ("freeznet", "train_freez"),
    "stochastic": ("stochastic", "train_stochastic"),
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The configuration of a run.

    Attributes
    ----------
    data : str
        Name or path, as for `utils.load_data`.
    method : {'classic', 'annealed', 'freezeout', 'stochastic'}
        A constant rate; the curve of FreezeOut's last block for every block; FreezeOut; stochastic
        depth at the classic rate.
    model : str
        Name of the network, as in `batch.models.MODELS`.
    iterations : int
        Length of the run.
    batch_size : int
        Images in an iteration.
    seed : int
        Of the initial weights and of the order of the batches.
    freeze_iterations : int, optional
        Last iteration of the schedules; the run's last by default.
    survival : float
        Of the last residual block's branch under stochastic depth.
    precision : {'float32', 'bfloat16'}
    """

    data: str = "digits"
    method: str = "classic"
    model: str = "resnet"
    iterations: int = 150
    batch_size: int = 300
    seed: int = 0
    freeze_iterations: int | None = None
    survival: float = res_batch.DEFAULTS["stochastic"]["survival"]
    precision: str = "float32"

    def freezing(self):
        """The settings of the method's schedule: the pipelines' defaults."""
        settings = {key: res_batch.DEFAULTS["freeznet"][key] for key in res_batch.FREEZING}
        settings["iteration"] = self.freeze_iterations or self.iterations
        return settings

    def schedule(self):
        """The method's schedule as a model's config takes it; None for a constant rate."""
        if self.method in ("classic", "stochastic"):
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
    config = {
        "model": experiment.model,
        "seed": experiment.seed,
        "classes": data.classes,
        "precision": experiment.precision,
    }
    kind, action = PIPELINES[experiment.method]
    if kind == "freeznet":
        config["schedule"] = experiment.schedule()
    if kind == "stochastic":
        config["survival"] = experiment.survival
    dataset = Dataset(DatasetIndex(len(data.train.labels)), ResBatch)
    train = getattr(dataset.pipeline(config={kind: config}), action)
    return kind, losses, train(losses, data.train.images, data.train.labels)


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
    blocks = len(network.layers) - 1
    schedule = make_schedule(experiment.schedule() or ("Constant", {"learning_rate": 1}), blocks)
    return flops.predicted_ratio(flops.block_costs(network), schedule, experiment.iterations)
