"""The whole configuration of one run."""

import dataclasses
import functools

from batch import checks
from batch.shown import short
from research import methods, optimizers
from research.experiments import bases
from research.experiments.fields import FIELDS
from research.experiments.recipes import NOTEBOOK
from research.methods.loading import errors_named
from research.methods.options import SHARED

LOOKS = 200  # iterations, all over a run, at which a schedule is looked at before it starts
CROPS = {"pad": 4, "flip": True}  # what augment=True stands for
NETWORK = ("network", "base")  # keys of a config that all methods share, by --model


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The configuration of a run.

    Attributes
    ----------
    data : str
        Name or path, as for `utils.load_data`.
    method : str or Method
        How it is trained: the name of a method in `research.methods`, or a method of your own.
    model : str
        Name of the network, as in `batch.models.named.MODELS`.
    model_options : dict
        The network's options, as `depth`.
    base : str, optional
        A pre-trained network to fine-tune in its place, by name or from a file, with a new
        classifier; all of its blocks run in inference mode (`research.experiments.bases`).
    freeze_first : int
        Leading blocks of the base that are frozen for good.
    freeze : sequence of str
        Regular expressions of further blocks of the base, and of layers in them, to freeze for
        good.
    iterations : int
        Length of the run.
    batch_size : int
        Images in an iteration.
    seed : int
        Of the initial weights, of the order of the batches, and of what is augmented.
    learning_rate, momentum : float, optional
        By default the method's own, as in `batch.res_batch.DEFAULTS`.
    optimizer : str or (str, dict), optional
        One of Keras' in place of the method's own, as 'SGD:momentum=0.9,nesterov=true' or name and
        arguments. Its rate is `learning_rate` and the method's schedule.
    weight_decay : float
        As for `batch.TFModel`.
    t_0, how_scale, scale_lr, count_classifier : float, str, bool, bool
        `FreezeOut`'s t_0, degree, scaled and count_classifier, the first three in the words of the
        paper's program.
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
    views : int, optional
        Fixed crops of each image; by default there is a new one in every step.
    precision : {'float32', 'bfloat16'}
    cache : str or float
        Where to keep what frozen blocks compute, as for `batch.TFModel`. 'auto' becomes a number of
        bytes when runs begin.
    strategy : {'mirrored', 'multiworker'}, optional
        Which devices train together, as for `batch.TFModel`.

    Raises
    ------
    ValueError, TypeError
        If one of them is not what it should be.
    """

    data: str = "digits"
    method: "str | methods.Method" = "classic"
    model: str = "resnet"
    model_options: dict = dataclasses.field(default_factory=dict)
    base: str | None = None
    freeze_first: int = 0
    freeze: tuple = ()
    iterations: int = NOTEBOOK["iterations"]
    batch_size: int = NOTEBOOK["batch_size"]
    seed: int = 0
    learning_rate: float | None = NOTEBOOK["learning_rate"]
    momentum: float | None = NOTEBOOK["momentum"]
    optimizer: "str | tuple | None" = None
    weight_decay: float = NOTEBOOK["weight_decay"]
    t_0: float = SHARED["t_0"].default
    how_scale: str = SHARED["how_scale"].default
    scale_lr: bool = SHARED["scale_lr"].default
    count_classifier: bool = SHARED["count_classifier"].default
    finetune_rate: float | None = SHARED["finetune_rate"].default
    freeze_iterations: int | None = None
    freeze_every: int | None = None
    milestones: tuple = SHARED["milestones"].default
    gamma: float = SHARED["gamma"].default
    survival: float = SHARED["survival"].default
    augment: bool = NOTEBOOK["augment"]
    normalize: bool = NOTEBOOK["normalize"]
    views: int | None = None
    precision: str = "float32"
    cache: str = "auto"
    strategy: str | None = None

    def __post_init__(self):
        methods.find(self.method)  # an error now, not when it trains
        for name, check in FIELDS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if self.views and not self.augment:
            raise ValueError(f"views needs augment=True. {checks.received(self.augment)}")
        bases.check(self)

    @property
    def trained_by(self):
        """The `Method`."""
        return methods.find(self.method)

    @property
    def label(self):
        """Name of the method."""
        return self.trained_by.name

    def method_config(self, blocks):
        """What the method adds to its model's config, checked.

        Parameters
        ----------
        blocks : int
            Of its network, the classifier apart.

        Raises
        ------
        ValueError
            If it is no config of such a model; the message names the line of a user's own method.
        """
        method = self.trained_by
        with errors_named(method, all_errors=True):
            config = method.config(self.with_rates(), blocks)
            _check_config(config, self, blocks)
        return config

    def config(self, data):
        """The config of the method's model, but for its inputs."""
        defaults = _defaults(self.trained_by)
        config = {
            **({"survival": defaults["survival"]} if "survival" in defaults else {}),
            **self.model_options,
            **(bases.config(self) if self.base else {}),
            "optimizer": self._optimizer(),
            "weight_decay": self.weight_decay,
            "augment": {**CROPS, "views": self.views} if self.views else self.augment,
            "seed": self.seed,
            "precision": self.precision,
            "cache": self.cache,
        }
        if self.normalize:
            from batch.training.preprocessing import channel_statistics

            config["normalize"] = channel_statistics(data.train.images)
        if self.strategy:
            config["strategy"] = self.strategy
        return {**config, **self.method_config(count_blocks(self, data))}

    def learning(self, blocks):
        """A bool for each block and, last, the classifier: False if it is frozen for good."""
        return bases.learning(self) if self.freezes_for_good else [True] * (blocks + 1)

    @property
    def freezes_for_good(self):
        """Whether blocks or layers of its base never learn."""
        return bool(self.freeze_first or self.freeze)

    def all_learning(self):
        """The experiment with nothing frozen for good."""
        return dataclasses.replace(self, freeze_first=0, freeze=())

    def with_rates(self):
        """The experiment with the action's learning rate and momentum, where none were given."""
        defaults = _defaults(self.trained_by)
        _, settings = defaults["optimizer"]
        rates = {**defaults, **settings}
        missing = [name for name in ("learning_rate", "momentum") if getattr(self, name) is None]
        return dataclasses.replace(self, **{name: rates[name] for name in missing})

    def _optimizer(self):
        """The optimizer of the method's action as a model's config takes it."""
        name, settings = _defaults(self.trained_by)["optimizer"]
        if self.optimizer is not None:
            name, arguments = optimizers.read(self.optimizer)
            return name, {**arguments, "learning_rate": self.with_rates().learning_rate}
        given = {key: getattr(self, key) for key in ("learning_rate", "momentum")}
        own = {key: value for key, value in given.items() if key in settings and value is not None}
        return name, {**settings, **own}


def _defaults(method):
    """What the pipeline's action of a method does by default."""
    from batch.res_batch import DEFAULTS

    return DEFAULTS[method.model]


def _check_config(config, experiment, blocks):
    """Refuse what is no config of a model, and a schedule that does not fit the network."""
    import numpy as np

    from batch.checks import check_keys
    from batch.models.named import MODELS
    from batch.schedules import make_schedule
    from batch.schedules.stages import are_rates

    method, model, iterations = experiment.trained_by, experiment.model, experiment.iterations
    if not isinstance(config, dict):
        raise TypeError(f"config must give a dict. Received: {type(config).__name__}")
    allowed = set(MODELS[model].keys()) - {"inputs", "input_block", *NETWORK}
    check_keys(config, allowed, f"method '{method.name}'")
    if "freeze" in config and experiment.freezes_for_good:
        raise ValueError(
            f"{method.name} has a 'freeze' of its own, so freeze_first can't be "
            f"{experiment.freeze_first}, nor freeze {experiment.freeze}"
        )
    if "optimizer" in config and experiment.optimizer is not None:
        raise ValueError(
            f"{method.name} has an optimizer of its own, so the run's can't be "
            f"{short(experiment.optimizer)}"
        )
    if "schedule" not in config:
        if method.action == "train_freez":
            raise ValueError("train_freez needs a 'schedule' in the config")
        return
    schedule = make_schedule(config["schedule"], blocks)
    for iteration in np.unique(np.linspace(0, iterations - 1, LOOKS, dtype=int)).tolist():
        rates = np.asarray(schedule(iteration), dtype=float)
        if not are_rates(rates, blocks):
            raise ValueError(
                f"the schedule must give {blocks} rates, one for each block, finite and 0 or more. "
                f"Received at iteration {iteration}: {rates}"
            )


def check(experiment, data):
    """Refuse an experiment that can't be run, before any work is done."""
    length = experiment.freeze_iterations or experiment.iterations
    every = experiment.freeze_every if "freeze_every" in experiment.trained_by.options else None
    if every and every >= length:
        raise ValueError(f"--freeze-every must be below the {length} iterations of the schedule")
    if experiment.batch_size > len(data.train.labels):
        raise ValueError(
            f"A batch must not be larger than the training split: {experiment.batch_size} images, "
            f"but {data.name} has {len(data.train.labels)}"
        )
    if experiment.optimizer is not None:
        _check_optimizer(experiment)
    if experiment.base:
        bases.check_data(experiment, data)


def _check_optimizer(experiment):
    if experiment.momentum is not None:
        raise ValueError(
            "momentum is for the method's own optimizer: give it as an argument of "
            f"{short(experiment.optimizer)}. {checks.received(experiment.momentum)}"
        )
    optimizers.check(experiment.optimizer)


def make_model(experiment, data):
    """The untrained model of an experiment."""
    config = dataclasses.replace(experiment, strategy=None).config(data)
    with errors_named(experiment.trained_by, all_errors=True):
        return _named_model(experiment.model, config, *_inputs(data))


def count_blocks(experiment, data):
    """The number of blocks of an experiment's network, the classifier apart."""
    if experiment.base:
        return bases.count_blocks(experiment.base)
    options = tuple(sorted(experiment.model_options.items()))
    return _count_blocks(experiment.model, options, *_inputs(data))


@functools.cache
def _count_blocks(name, options, shape, classes):
    return len(_named_model(name, dict(options), shape, classes).network.layers) - 1


def _named_model(name, config, shape, classes):
    from batch.models.named import MODELS

    inputs = {"images": {"shape": shape}, "labels": {"classes": classes}}
    return MODELS[name]({**config, "inputs": inputs})


def _inputs(data):
    """Shape of the images, and number of classes."""
    return data.train.images.shape[1:], data.classes
