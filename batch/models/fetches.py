"""Fetches of a model: logits, loss, and values that are computed from them."""

import re

import tensorflow as tf

from batch.checks import received, sequence
from batch.spelling import did_you_mean
from batch.training.losses import weighted_mean

OPERATIONS = {
    "prob": lambda logits, examples: tf.nn.softmax(logits).numpy(),
    "proba": lambda logits, examples: tf.nn.softmax(logits).numpy(),
    "labels": lambda logits, examples: tf.argmax(logits, axis=-1).numpy(),
    "accuracy": lambda logits, examples: mean(
        _numbers(tf.argmax(logits, axis=-1) == labels_of(examples)), examples
    ),
}
ACTIVATIONS = {  # a callable of the user's own may have their names
    "sigmoid": lambda logits, examples: tf.sigmoid(logits).numpy(),
    "softplus": lambda logits, examples: tf.nn.softplus(logits).numpy(),
}
TOP = re.compile(r"output_top_([1-9]\d*)")  # share of images with their class among the top k
LOSSES = ("loss", "data_loss")
NEED_LABELS = re.compile(rf"output_accuracy|{'|'.join(LOSSES)}|{TOP.pattern}")


def make_fetches(output=None):
    """All fetches but the losses, by name: functions of logits and examples.

    Parameters
    ----------
    output : dict, str, callable, or a list of them, optional
        The `output` of a model's config: `{'ops': […]}` or the list itself. A callable from logits
        to an array becomes `output_` with its name. The names accuracy, labels, prob, proba,
        sigmoid and softplus may stand there, but `output_accuracy` and so on exist in any case.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    if isinstance(output, dict):
        if set(output) != {"ops"}:
            raise ValueError(f"'output' must be {{'ops': […]}}. {received(output)}")
        output = output["ops"]
    single = isinstance(output, str) or callable(output)
    operations = dict(OPERATIONS)
    listed = [output] if single else [] if output is None else output
    for operation in sequence("output", listed, f"{', '.join(OPERATIONS)}, or callables"):
        if callable(operation):
            name = getattr(operation, "__name__", "<none>")
            if not name.isidentifier() or name in operations:
                raise ValueError(
                    "A callable in 'output/ops' must have a name of its own, by which to fetch it. "
                    f"{received(operation)}"
                )
            operations[name] = _applied(operation)
        elif not isinstance(operation, str) or operation not in {**OPERATIONS, **ACTIVATIONS}:
            known = [*OPERATIONS, *ACTIVATIONS]
            raise ValueError(
                f"'output/ops' must be of {', '.join(known)}, or callables. "
                f"{received(operation)}{did_you_mean(operation, known)}"
            )
    operations = {**ACTIVATIONS, **operations}
    named = {f"output_{name}": operation for name, operation in operations.items()}
    return {"predictions": lambda logits, examples: logits.numpy(), **named}


def fetch(names, fetches, logits, *, examples, losses):
    """The value of a fetch, or a list of values.

    Parameters
    ----------
    names : str or sequence of str
        Already checked by `check_fetches`.
    fetches : dict
        From `make_fetches`.
    logits : tensor, shape (n, classes)
    examples : Examples
        Their labels and weights.
    losses : dict of callable
        By the names in `LOSSES`: functions without arguments, called only if they are fetched.
    """

    def value(name):
        if name in LOSSES:
            return losses[name]()
        top = TOP.fullmatch(name)
        if top and name not in fetches:
            return mean(_numbers(_among_top(logits, labels_of(examples), int(top[1]))), examples)
        return fetches[name](logits, examples)

    values = [value(name) for name in _as_list(names)]
    return values[0] if isinstance(names, str) else values


def check_fetches(names, fetches, with_labels=True, only_losses=False):
    """Refuse fetches that do not exist, or that need labels, or all logits, if there are none."""
    known = {*LOSSES, *fetches}
    if not isinstance(names, (str, list, tuple)) or not all(
        isinstance(name, str) for name in _as_list(names)
    ):
        raise TypeError(f"fetches must be a name, or a list of names. {received(names)}")
    names = _as_list(names)
    unknown = [name for name in names if name not in known and not TOP.fullmatch(name)]
    if unknown:
        raise ValueError(
            f"Unknown fetches: {', '.join(unknown)}. Known: {', '.join(sorted(known))}, and "
            f"output_top_5 with any number. {received(names)}"
            f"{did_you_mean(unknown, {*known, 'output_top_5'})}"
        )
    own = set(fetches) - {"output_accuracy"}
    needing = [name for name in names if NEED_LABELS.fullmatch(name) and name not in own]
    if needing and not with_labels:
        raise ValueError(f"These fetches need labels: {', '.join(needing)}")
    if only_losses and not {*names} <= {*LOSSES}:
        raise ValueError(
            "With several workers, each of which has a part of the examples, a training step must "
            f"fetch losses alone: {' or '.join(LOSSES)}. {received(names)}"
        )


def labels_of(examples):
    """Labels of the examples, shape (n,)."""
    return tf.gather(examples.labels, examples.rows)


def mean(values, examples):
    """The (weighted) mean of a value for each example, a float."""
    return float(weighted_mean(values, examples.weights))


def _among_top(logits, labels, count):
    """Whether each label is among the classes of the largest logits; ties as in `argmax`."""
    likeliest = tf.math.top_k(logits, min(count, logits.shape[-1])).indices
    return tf.reduce_any(tf.cast(likeliest, labels.dtype) == labels[:, None], axis=-1)


def _numbers(right):
    return tf.cast(right, tf.float64)


def _as_list(names):
    return [names] if isinstance(names, str) else list(names)


def _applied(operation):
    def apply(logits, examples):
        value = operation(logits)
        return value.numpy() if isinstance(value, tf.Tensor) else value

    return apply
