"""The config of a pipeline: what it says of our models, and keys that are nearly theirs."""

import re

from batchflow import Pipeline
from batchflow.named_expr import NamedExpression

from batch.checks import as_dict
from batch.shown import short
from batch.spelling import did_you_mean

ALIASES = {"freezeout": "freeznet"}  # another key of the same model
NEARLY = 0.82  # how like ours a key must be to be a slip of the pen


def model_config(pipeline, kind, name):
    """What a pipeline's config says of a model: under its kind, then under its name.

    Parameters
    ----------
    pipeline : batchflow.Pipeline
    kind, name : str
        As 'freeznet', which may be called 'freezeout' too, and the name that its action gives it.

    Returns
    -------
    list of dict or batchflow.Config
        Later ones replace earlier ones.

    Raises
    ------
    ValueError
        If a key is there under both of its names.
    """
    config = pipeline.config
    keys = [key for key, meant in ALIASES.items() if meant == kind and key not in used(pipeline)]
    given = [key for key in (kind, *keys) if config.get(key) is not None]
    if len(given) > 1:
        raise ValueError(f"Give '{given[0]}' or '{given[1]}' in the pipeline's config, not both.")
    return [config.get(key) for key in dict.fromkeys((*given, name))]


def check_outer_keys(pipeline, kinds):
    """Refuse keys of a pipeline's config that are nearly those of our models, and of no use else.

    Parameters
    ----------
    pipeline : batchflow.Pipeline
    kinds : collection of str

    Raises
    ------
    ValueError
        If there is one; names that the pipeline's actions use, of models or in `C`, are none.
    """
    ours = [*kinds, *ALIASES]
    names = None
    for key in as_dict(pipeline.config):
        if not isinstance(key, str) or key in ours or _of_another(key, ours):
            continue
        hint = did_you_mean(re.sub(r"[\W_]", "", key), ours, NEARLY)
        names = used(pipeline) if hint and names is None else names
        if hint and key not in names:
            raise ValueError(
                f"The pipeline's config has a key that nothing uses: {short(key)}{hint}"
            )


def used(pipeline):
    """Names in the arguments of a pipeline's actions, those of named expressions among them."""
    everything = values_in([pipeline._actions, list(pipeline.models.models)])  # noqa: SLF001
    return {value for value in everything if isinstance(value, str)}


def values_in(*values):
    """All values in these, in the arguments of actions and named expressions too, in any order."""
    waiting, seen = list(values), {}
    while waiting:
        value = waiting.pop()
        if id(value) not in seen:  # a list may contain itself
            seen[id(value)] = value
            waiting += _parts(value)
            yield value


def _parts(value):
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, NamedExpression):
        return list(vars(value).values())
    return value._actions if isinstance(value, Pipeline) else []  # noqa: SLF001


def _of_another(key, ours):
    """Whether a key is one of ours with a number or the like, as 'resnet18': another model's."""
    return any(re.match(rf"{name}[\W\d_]", key) for name in ours)
