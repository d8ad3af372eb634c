"""Losses by name: from labels and logits to the loss of each example."""

import functools
import inspect

import keras
import tensorflow as tf

OF_NUMBERS = {  # losses that take class numbers, not one-hot rows
    "categorical_generalized_cross_entropy",
    "circle",
    "sparse_categorical_crossentropy",
}
OF_PROBABILITIES = {
    "categorical_generalized_cross_entropy",
    "dice",
    "kl_divergence",
    "poisson",
    "tversky",
}


def cross_entropy(labels, logits):
    """Softmax cross-entropy of each example, shape `(n,)`."""
    chosen = tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return -tf.reduce_sum(chosen * tf.nn.log_softmax(logits), axis=-1)


def weighted_mean(values, weights=None):
    """Mean over examples: Σ wᵢ·vᵢ / Σ wᵢ; 0 where all weights are 0.

    Parameters
    ----------
    values : tensor, shape (n,)
    weights : tensor, shape (n,), optional
        Without them, all examples count alike.

    Raises
    ------
    ValueError
        If there are weights, but not one value for each example.
    """
    if weights is None:
        return tf.reduce_mean(values)
    if values.shape.rank != 1:
        raise ValueError(
            f"With loss_weights, the loss must give one value an example. Received: {values.shape}"
        )
    weights = tf.cast(weights, values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(weights * values), tf.reduce_sum(weights))


def compiled_loss(loss, logits):
    """The loss as a function that TensorFlow traces only once.

    Raises
    ------
    ValueError
        If it does not take labels `(n,)` and logits `(n, classes)`.
    """
    signature = [
        tf.TensorSpec((None,), tf.int64),
        tf.TensorSpec((None, *logits.shape[1:]), tf.float32),
    ]

    def losses(labels, outputs):
        return tf.cast(loss(labels, outputs), tf.float32)

    compiled = tf.function(losses, input_signature=signature, autograph=False)
    try:
        compiled.get_concrete_function()
    except Exception as error:
        raise ValueError(
            f"The loss must take labels (n,) and logits (n, {logits.shape[-1]}) and give losses "
            f"(n,). It raised {type(error).__name__}: {error}"
        ) from error
    return compiled


CROSS_ENTROPIES = {
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
}


def make_loss(spec, one_hot=False):
    """A function from class numbers `(n,)` and logits `(n, classes)` to losses.

    Parameters
    ----------
    spec : str, (str, dict) or callable
        `softmax_cross_entropy` or `sparse_softmax_cross_entropy`, which are the same here; the name
        of a Keras loss, as `mse` or `CategoricalHinge`, with or without arguments; or a callable
        from labels and logits to losses. Keras' losses get one-hot labels or class numbers, as they
        expect. Losses of probabilities get the softmax; all others get the logits, and know it if
        they have the argument `from_logits`.
    one_hot : bool
        Whether a callable gets one-hot rows, float32, in place of class numbers.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    if callable(spec):
        return _with_one_hot(spec) if one_hot else spec
    name, arguments = spec if isinstance(spec, (tuple, list)) and len(spec) == 2 else (spec, {})
    if isinstance(name, str) and name in CROSS_ENTROPIES and not arguments:
        return cross_entropy
    loss, kind = _keras_loss(name, arguments, spec)
    if kind in OF_PROBABILITIES:
        loss = _of_softmax(loss)
    return loss if kind in OF_NUMBERS else _with_one_hot(loss)


def _keras_loss(name, arguments, spec):
    """A Keras loss that gives a loss for each example, and the name of its function."""
    if isinstance(name, str):
        name = name.replace("softmax_cross_entropy", "categorical_crossentropy")
    try:
        loss = getattr(keras.losses, str(name), None) or keras.losses.get(name)
    except (ValueError, TypeError):
        loss = None
    if not isinstance(name, str) or not callable(loss):
        raise ValueError(
            "loss must be softmax_cross_entropy, sparse_softmax_cross_entropy, the name of a Keras "
            f"loss, (name, arguments), or a callable. Received: {spec!r}"
        )
    takes = inspect.signature(loss).parameters
    unknown = [key for key in arguments if key not in takes]
    if unknown:
        raise ValueError(f"The loss {name} has no argument {', '.join(unknown)}: {spec!r}")
    if "from_logits" in takes:
        arguments = {"from_logits": True, **arguments}
    if inspect.isclass(loss):
        loss = loss(**{**arguments, "reduction": "none"})
        return loss, loss.fn.__name__
    return functools.partial(loss, **arguments), loss.__name__


def _of_softmax(loss):
    return lambda labels, logits: loss(labels, tf.nn.softmax(logits))


def _with_one_hot(loss):
    def of_rows(labels, logits):
        return loss(tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype), logits)

    return of_rows
