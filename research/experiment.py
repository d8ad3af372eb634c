"""The whole configuration of one run."""

import dataclasses

from batch import res_batch
from batch.data.data import Data, Split
from batch.models.named import MODELS
from batch.schedules.freezeout import degree_of
from batch.training.preprocessing import channel_statistics
from research.recipes import NOTEBOOK

HELD_OUT = 5000  # training images that validation takes
KINDS = {  # name of each method's model in a pipeline
    "classic": "resnet",
    "annealed": "freeznet",
    "freezeout": "freeznet",
    "stochastic": "stochastic",
    "layerfreezing": "freeznet",
    "autofreeze": "freeznet",
}
RULES = {  # schedules of the methods that have one
    "annealed": "Annealed",
    "freezeout": "FreezeOut",
    "layerfreezing": "LayerFreezing",
    "autofreeze": "AutoFreeze",
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The configuration of a run.

    Attributes
    ----------
    data : str
        Name or path, as for `utils.load_data`.
    method : {'classic', 'annealed', 'freezeout', 'stochastic', 'layerfreezing', 'autofreeze'}
        A constant rate; the curve of FreezeOut's last block for every block; FreezeOut; stochastic
        depth at the classic rate; and, on annealed's curve, blocks frozen linearly at the ends of
        epochs, or when their gradients stop changing.
    model : str
        Name of the network, as in `batch.models.named.MODELS`.
    model_options : dict
        The network's options, as `depth`.
    iterations : int
        Length of the run.
    batch_size : int
        Images in an iteration.
    seed : int
        Of the initial weights, of the order of the batches, and of what is augmented.
    learning_rate, momentum : float, optional
        By default the method's own, as in `batch.res_batch.DEFAULTS`.
    weight_decay : float
        As for `batch.TFModel`.
    t_0, how_scale, scale_lr : float, str, bool
        `FreezeOut`'s t_0, degree and scaled, in the words of the paper's program.
    finetune_rate : float, optional
        Of all blocks after the schedules' last iteration.
    freeze_iterations : int, optional
        Last iteration of the schedules; the run's last by default.
    freeze_every : int, optional
        Iterations between the decisions of layerfreezing and autofreeze; a tenth of the schedule by
        default.
    milestones, gamma : sequence of float, float
        Shares of the run at which the constant rate of classic and stochastic is multiplied by
        gamma, as for `batch.MultiStep`; none by default.
    survival : float
        Of the last residual block's branch under stochastic depth.
    augment, normalize : bool
        Random crops and flips; mean and deviation of each channel.
    precision : {'float32', 'bfloat16'}
    cache : str
        Where to keep what frozen blocks compute, as for `batch.TFModel`. It changes no loss.
    """

    data: str = "digits"
    method: str = "classic"
    model: str = "resnet"
    model_options: dict = dataclasses.field(default_factory=dict)
    iterations: int = NOTEBOOK["iterations"]
    batch_size: int = NOTEBOOK["batch_size"]
    seed: int = 0
    learning_rate: float | None = NOTEBOOK["learning_rate"]
    momentum: float | None = NOTEBOOK["momentum"]
    weight_decay: float = NOTEBOOK["weight_decay"]
    t_0: float = NOTEBOOK["t_0"]
    how_scale: str = NOTEBOOK["how_scale"]
    scale_lr: bool = NOTEBOOK["scale_lr"]
    finetune_rate: float | None = NOTEBOOK["finetune_rate"]
    freeze_iterations: int | None = None
    freeze_every: int | None = None
    milestones: tuple = NOTEBOOK["milestones"]
    gamma: float = NOTEBOOK["gamma"]
    survival: float = res_batch.DEFAULTS["stochastic"]["survival"]
    augment: bool = NOTEBOOK["augment"]
    normalize: bool = NOTEBOOK["normalize"]
    precision: str = "float32"
    cache: str = "auto"

    @property
    def kind(self):
        """Name of the method's model in a pipeline: resnet, freeznet, or stochastic."""
        return KINDS[self.method]

    def schedule(self):
        """The method's schedule as a model's config takes it; None for a constant rate."""
        if self.kind != "freeznet":
            return self._milestones() if self.milestones else None
        settings = {
            "finetune_rate": self.finetune_rate,
            "iterations": self.freeze_iterations or self.iterations,
            "learning_rate": self.learning_rate or res_batch.DEFAULTS["freeznet"]["learning_rate"],
        }
        if self.method in ("layerfreezing", "autofreeze"):
            return RULES[self.method], {**settings, "every": self.freeze_every}
        return RULES[self.method], {
            **settings,
            "t_0": self.t_0,
            "degree": degree_of(self.how_scale),
            "scaled": self.scale_lr,
        }

    def _milestones(self):
        _, settings = self.optimizer()
        return "MultiStep", {
            "iterations": self.iterations,
            "learning_rate": settings["learning_rate"],
            "milestones": self.milestones,
            "gamma": self.gamma,
        }

    def optimizer(self):
        """The method's optimizer as a model's config takes it."""
        name, settings = res_batch.DEFAULTS[self.kind]["optimizer"]
        own = {"momentum": self.momentum}
        if self.kind != "freeznet":
            own["learning_rate"] = self.learning_rate
        return name, {**settings, **{key: value for key, value in own.items() if value is not None}}

    def config(self, data):
        """The config of the method's model, but for its inputs."""
        config = {
            **self.model_options,
            "optimizer": self.optimizer(),
            "weight_decay": self.weight_decay,
            "augment": self.augment,
            "seed": self.seed,
            "precision": self.precision,
            "cache": self.cache,
        }
        schedule = self.schedule()
        if schedule:
            config["schedule"] = schedule
        if self.kind == "stochastic":
            config["survival"] = self.survival
        if self.normalize:
            config["normalize"] = channel_statistics(data.train.images)
        return config


def check(experiment, data):
    """Refuse an experiment that can't be carried out, before any work is done."""
    length = experiment.freeze_iterations or experiment.iterations
    if experiment.freeze_every and experiment.freeze_every >= length:
        raise ValueError(f"--freeze-every must be below the {length} iterations of the schedule")
    if experiment.batch_size > len(data.train.labels):
        raise ValueError(
            f"A batch must not be larger than the training split: {experiment.batch_size} images, "
            f"but {data.name} has {len(data.train.labels)}"
        )


def hold_out(data):
    """The data with the last 5,000 training images in place of the test split.

    Raises
    ------
    ValueError
        If that leaves fewer to train on.
    """
    images, labels = data.train.images, data.train.labels
    if len(labels) < 2 * HELD_OUT:
        raise ValueError(
            f"Validation takes {HELD_OUT:,} training images, and must leave as many: {data.name} "
            f"has {len(labels):,}. Validate on the test split."
        )
    kept, held = slice(None, -HELD_OUT), slice(-HELD_OUT, None)
    parts = [Split(images[rows].copy(), labels[rows].copy()) for rows in (kept, held)]
    return Data(data.name, data.classes, *parts)


def make_model(experiment, data):
    """The untrained model of an experiment."""
    shape = data.train.images.shape[1:]
    inputs = {"images": {"shape": shape}, "labels": {"classes": data.classes}}
    return MODELS[experiment.model]({**experiment.config(data), "inputs": inputs})
