"""The optimizer that all methods of a comparison share, where it is not each method's own."""

from batch.checks import received

WORDS = {"true": True, "false": False, "none": None}
NOT_GIVEN = {  # arguments that would do nothing, and why
    "learning_rate": "the rate is that of --learning-rate and of the method's schedule",
    "name": "it changes nothing",
}


class OptimizerError(ValueError):
    """An optimizer that Keras does not have, or arguments that it does not take."""


def read(spec):
    """Name and arguments of an optimizer; whether Keras has it is not asked.

    Parameters
    ----------
    spec : str or (str, dict)
        As 'SGD:momentum=0.9,nesterov=true', or name and arguments. In a text, values are numbers,
        true, false, none, or else texts.

    Returns
    -------
    name : str
    arguments : dict

    Raises
    ------
    OptimizerError
        If it has another form, or an argument that would do nothing.

    Examples
    --------
    >>> read("SGD:momentum=0.9,nesterov=true")
    ('SGD', {'momentum': 0.9, 'nesterov': True})
    """
    if isinstance(spec, (tuple, list)) and len(spec) == 2 and isinstance(spec[1], dict):
        name, pairs = spec[0], list(spec[1].items())
    elif isinstance(spec, str):
        name, colon, rest = spec.partition(":")
        pairs = [_pair(part, spec) for part in rest.split(",")] if colon else []
    else:
        name, pairs = None, []
    if not isinstance(name, str) or not name.isidentifier() or len(dict(pairs)) < len(pairs):
        raise _wrong_form(spec)
    for key, why in NOT_GIVEN.items():
        if key in dict(pairs):
            raise OptimizerError(f"optimizer {name}: {key} is not to be given: {why}")
    return name, dict(pairs)


def check(spec):
    """Refuse an optimizer that Keras does not have or can't make.

    Raises
    ------
    OptimizerError
        The message names the known ones, or the arguments that it takes.
    """
    import keras
    import numpy as np

    from batch.training.optimizers import make_optimizer

    name, arguments = read(spec)
    try:
        made = make_optimizer((name, arguments))
        made.apply([np.ones((2, 2), np.float32)], [keras.Variable(np.ones((2, 2), np.float32))])
    except Exception as error:  # Keras raises what it likes for a value that does not fit
        raise OptimizerError(f"--optimizer {name}: {error}") from error


def _pair(text, whole):
    """Key and value of 'key=value'."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key or not value:
        raise _wrong_form(whole)
    return key, _value(value)


def _value(text):
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _wrong_form(spec):
    return OptimizerError(
        "optimizer must be NAME or NAME:KEY=VALUE,…, each key once, as "
        f"SGD:momentum=0.9,nesterov=true. {received(spec)}"
    )
