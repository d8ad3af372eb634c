"""What a model can be asked for: logits, loss, and what is made of them."""

import tensorflow as tf

OPERATIONS = {
    "prob": lambda logits, labels: tf.nn.softmax(logits).numpy(),
    "proba": lambda logits, labels: tf.nn.softmax(logits).numpy(),
    "labels": lambda logits, labels: tf.argmax(logits, axis=-1).numpy(),
    "accuracy": lambda logits, labels: float(
        tf.reduce_mean(tf.cast(tf.argmax(logits, axis=-1) == labels(), tf.float64))
    ),
}
NEED_LABELS = {"output_accuracy", "loss"}


def make_fetches(output=None):
    """What a fetch gives, by its name: functions of logits and of a callable to class numbers.

    Parameters
    ----------
    output : dict, str, callable, or a list of them, optional
        The `output` of a model's config: `{'ops': […]}` or the list itself. The names accuracy,
        labels, prob and proba are there in any case, as `output_accuracy` and so on; a callable
        from logits to an array becomes `output_` with its name.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    if isinstance(output, dict):
        if set(output) != {"ops"}:
            raise ValueError(f"'output' must be {{'ops': […]}}. Received: {output!r}")
        output = output["ops"]
    single = isinstance(output, str) or callable(output)
    operations = dict(OPERATIONS)
    for operation in [output] if single else output or []:
        if callable(operation):
            name = getattr(operation, "__name__", "<none>")
            if not name.isidentifier() or name in operations:
                raise ValueError(
                    "A callable in 'output/ops' must have a name of its own, by which to fetch it. "
                    f"Received: {operation!r}"
                )
            operations[name] = _applied(operation)
        elif operation not in OPERATIONS:
            raise ValueError(
                f"'output/ops' must be of {', '.join(OPERATIONS)}, or callables. "
                f"Received: {operation!r}"
            )
    named = {f"output_{name}": operation for name, operation in operations.items()}
    return {"predictions": lambda logits, labels: logits.numpy(), **named}


def fetch(names, fetches, logits, labels, loss):
    """The value of one fetch, or a list of several.

    Parameters
    ----------
    names : str or sequence of str
        Checked before by `check_fetches`.
    fetches : dict
        From `make_fetches`.
    logits : tensor, shape (n, classes)
    labels, loss : callable
        Without arguments, to the class numbers, shape `(n,)`, and to the mean loss; called where a
        fetch needs them.
    """
    values = [
        loss() if name == "loss" else fetches[name](logits, labels) for name in _as_list(names)
    ]
    return values[0] if isinstance(names, str) else values


def check_fetches(names, fetches, with_labels=True):
    """Refuse fetches that there are not, or that need labels where there are none."""
    known = {"loss", *fetches}
    unknown = [str(name) for name in _as_list(names) if name not in known]
    if unknown:
        raise ValueError(
            f"Unknown fetches: {', '.join(unknown)}. Known: {', '.join(sorted(known))}"
        )
    needing = [name for name in _as_list(names) if name in NEED_LABELS]
    if needing and not with_labels:
        raise ValueError(f"These fetches need labels: {', '.join(needing)}")


def _as_list(names):
    return [names] if isinstance(names, str) else list(names)


def _applied(operation):
    def apply(logits, labels):
        value = operation(logits)
        return value.numpy() if isinstance(value, tf.Tensor) else value

    return apply
