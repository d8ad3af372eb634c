"""Calls in the words of BatchFlow's Torch models: inputs, targets and outputs."""

import functools
import inspect

import tensorflow as tf

from batch.checks import received
from batch.models.fetches import LOSSES

WORDS = {"inputs": "images", "targets": "labels", "outputs": "fetches"}
INSTEAD = {  # arguments that people know from BatchFlow, and what to write here
    "mode": "the mode of storing is one of save_to, as in save_to=V('acc', mode='a'), "
    "after init_variable('acc', default=[])",
    **dict.fromkeys(("microbatch_size", "amp"), "it is a key of the config"),
}


def with_torch_words(method):
    """Let `train` or `predict` also take inputs, targets and outputs.

    `inputs` and `targets` are images and labels, or a list of one array. `outputs` are fetches: a
    name with or without `output_`, a callable from logits to an array, a list of these, or a dict
    of them, which gives a dict. Other arguments that the method lacks are refused by name.
    """
    parameters = inspect.signature(method).parameters

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        _refuse_unknown(method.__name__, kwargs, parameters)
        given = {key: value for key, value in kwargs.items() if key not in WORDS}
        words = {key: kwargs[key] for key in WORDS if kwargs.get(key) is not None}
        for word in words:
            if given.get(WORDS[word]) is not None:
                raise TypeError(f"Give {word!r} or {WORDS[word]!r}, not both.")
        outputs = words.pop("outputs", None)
        given.update({WORDS[word]: _only(word, value) for word, value in words.items()})
        if outputs is None:
            return method(self, *args, **given)
        single, named = _is_output(outputs), isinstance(outputs, dict)
        names = [outputs] if single else _several(outputs)
        values = method(self, *args, **given, fetches=[_fetch(name) for name in names])
        values = [_applied(name, value) for name, value in zip(names, values)]
        if named:
            return dict(zip(outputs, values))
        return values[0] if single else values

    return call


def _refuse_unknown(method, kwargs, parameters):
    unknown = [key for key in kwargs if key not in parameters and key not in WORDS]
    if unknown:
        key = unknown[0]
        takes = ", ".join([*parameters, *WORDS][1:])
        raise TypeError(
            f"{method} has no argument {key!r}: {INSTEAD.get(key, f'it takes {takes}')}. "
            f"{received({key: kwargs[key]})}"
        )


def _only(word, value):
    """The array, or the only one in a list of arrays."""
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ValueError(
                f"{word} must be an array, or a list of one. Received: a list of {len(value)}"
            )
        return value[0]
    return value


def _is_output(value):
    """Whether a value is one output: a name, or a callable that is no class."""
    return isinstance(value, str) or (callable(value) and not isinstance(value, type))


def _several(outputs):
    """The outputs in a list, a tuple or a dict; a ValueError if it is something else."""
    listed = list(outputs.values()) if isinstance(outputs, dict) else outputs
    if not isinstance(listed, (list, tuple)) or not all(map(_is_output, listed)):
        raise ValueError(
            "outputs must be a name of a fetch, a callable, or a list or dict of these. "
            f"{received(outputs)}"
        )
    return listed


def _fetch(name):
    """The fetch that an output needs."""
    if callable(name):
        return "predictions"
    return name if name in ("predictions", *LOSSES) else f"output_{name.removeprefix('output_')}"


def _applied(name, value):
    value = name(tf.constant(value)) if callable(name) else value
    return value.numpy() if isinstance(value, tf.Tensor) else value
