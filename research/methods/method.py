"""What a method is: all that is said of one way to train, in one value."""

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping

from batch import checks
from batch.spelling import did_you_mean
from research.methods.options import SHARED

MODELS = {  # the pipeline's actions that train, and how the models that they make are called
    "train_res": "resnet",
    "train_freez": "freeznet",
    "train_stochastic": "stochastic",
}


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to train, to be compared with others.

    Parameters
    ----------
    name : str
        One word; its label in tables, figures and files.
    config : callable
        From the run's `Experiment` and the number of its network's blocks (the classifier apart) to
        a dict: what the method adds to the config of the run's `TFModel`. The experiment's
        `learning_rate` and `momentum` are numbers here: the action's own where none were given.
        All methods share network, weight decay, augmentation, normalization, seed, precision and
        cache, and those of an action its optimizer; what `config` gives takes precedence.
    baseline : str, optional
        Name of the method that it is compared with.
    action : {'train_res', 'train_freez', 'train_stochastic'}
        What trains it in the pipeline of `batch.ResBatch`; it brings the optimizer.
    options : dict of str to Option
        The settings that `config` and `iterations` read, of those in `research.methods.options`.
    paper : str
        Where it was published.
    adapts : bool
        Whether what it freezes depends on how training goes, so that no saving is known beforehand.
    iterations : callable, optional
        From the experiment and the costs of the network's blocks (`batch.flops.block_costs`) to
        this method's own number of iterations; without it, it trains as long as all others.
    estimate : callable, optional
        From the experiment to the saving that the method's authors estimate, in words.
    file_name : callable, optional
        From the experiment to what stands for the method in names of files; the name by default.
    source : str, optional
        Where it was loaded from, as in 'mine.py:HALVING'; the command line fills it in.

    Raises
    ------
    ValueError
        If one of them is not what it should be.

    Examples
    --------
    >>> def config(experiment, blocks):
    ...     return {"learning_rate": experiment.learning_rate / 2}
    >>> Method("halved", config, baseline="classic").action
    'train_res'
    """

    name: str
    config: Callable
    baseline: str | None = None
    action: str = "train_res"
    options: Mapping = dataclasses.field(default_factory=dict)
    paper: str = ""
    adapts: bool = False
    iterations: Callable | None = None
    estimate: Callable | None = None
    file_name: Callable | None = None
    source: str | None = None

    def __post_init__(self):
        _one_word("name", self.name)
        checks.optional(_one_word, f"baseline of {self.name}", self.baseline)
        for name in ("config", "iterations", "estimate", "file_name"):
            value = getattr(self, name)
            if (value is not None or name == "config") and not callable(value):
                raise ValueError(
                    f"{name} of {self.name} must be callable. {checks.received(value)}"
                )
        if not isinstance(self.action, str) or self.action not in MODELS:
            raise ValueError(
                f"action of {self.name} must be one of {', '.join(MODELS)}. "
                f"{checks.received(self.action)}{did_you_mean(self.action, MODELS)}"
            )
        checks.instance(f"options of {self.name}", self.options, Mapping, "a dict")
        unknown = [name for name in self.options if name not in SHARED]
        if unknown:
            raise ValueError(
                f"options of {self.name} must be of {', '.join(SHARED)}. "
                f"{checks.received(unknown[0])}{did_you_mean(unknown[0], SHARED)}"
            )
        checks.instance(f"paper of {self.name}", self.paper, str, "a text")
        checks.true_or_false(f"adapts of {self.name}", self.adapts)
        checks.optional(checks.text, f"source of {self.name}", self.source)

    @property
    def model(self):
        """Name of the method's model in a pipeline: resnet, freeznet, or stochastic."""
        return MODELS[self.action]

    @property
    def about(self):
        """What it is, in the first line of the docstring of the module that has its config."""
        module = sys.modules.get(getattr(self.config, "__module__", None))
        return (getattr(module, "__doc__", None) or "").strip().partition("\n")[0]

    @property
    def drops_branches(self):
        """Whether it needs residual branches to drop."""
        return self.action == "train_stochastic"


def _one_word(name, value):
    if not isinstance(value, str) or not re.fullmatch(r"\w[\w.+-]*", value):
        raise ValueError(f"{name} must be one word. {checks.received(value)}")
