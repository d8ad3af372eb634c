"""What each setting of an experiment must be."""

import math

from batch import checks
from research import optimizers
from research.methods.options import HOW_SCALE
from research.names import CACHES, MODELS, STRATEGIES

MOST_SEED = 2**32 - 1  # of NumPy's generators of old


def _optional(check):
    return lambda name, value: checks.optional(check, name, value)


def _one_of(allowed):
    return lambda name, value: checks.one_of(name, value, allowed)


def _options(name, value):
    """Checked options of a network: plain values by name."""
    checks.instance(name, value, dict, "a dict")
    for key, entry in value.items():
        checks.text(f"a key of {name}", key)
        if not isinstance(entry, (str, bool)) and not math.isfinite(checks.as_number(entry)):
            raise ValueError(f"{name}/{key} must be a number or a text. {checks.received(entry)}")
    return value


def _milestones(name, value):
    shares = checks.sequence(name, value, "shares of the run")
    shares = tuple(checks.share(name, share) for share in shares)
    if list(shares) != sorted(set(shares)):
        raise ValueError(f"{name} must rise. {checks.received(value)}")
    return shares


def _patterns(name, value):
    patterns = tuple(checks.sequence(name, value, "regular expressions"))
    for pattern in patterns:
        checks.text(f"a pattern of {name}", pattern)
    return patterns


def _seed(name, value):
    return checks.whole(name, value, most=MOST_SEED)


def _optimizer(name, value):
    if value is not None:
        optimizers.read(value)  # its message names it
    return value


def _cache(name, value):
    return value if 0 <= checks.as_number(value) < math.inf else checks.one_of(name, value, CACHES)


FIELDS = {  # of an experiment, but its method, and what each must be
    **{"data": checks.path, "model": _one_of(MODELS), "model_options": _options, "seed": _seed},
    **dict.fromkeys(("iterations", "batch_size"), checks.positive_whole),
    **dict.fromkeys(("freeze_iterations", "freeze_every"), _optional(checks.positive_whole)),
    **dict.fromkeys(("learning_rate", "finetune_rate"), _optional(checks.positive)),
    **{"momentum": _optional(checks.probability), "survival": checks.probability},
    **{"weight_decay": checks.not_negative, "gamma": checks.positive, "t_0": checks.share},
    **{"how_scale": _one_of(HOW_SCALE), "milestones": _milestones, "cache": _cache},
    "optimizer": _optimizer,
    **dict.fromkeys(("scale_lr", "count_classifier"), checks.true_or_false),
    **dict.fromkeys(("augment", "normalize"), checks.true_or_false),
    "views": _optional(checks.positive_whole),
    **{"base": _optional(checks.path), "freeze_first": checks.whole, "freeze": _patterns},
    "precision": _one_of(("float32", "bfloat16")),
    "strategy": _optional(_one_of(STRATEGIES)),
}
