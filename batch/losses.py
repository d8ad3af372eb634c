"""Losses by name: from labels and logits to the loss of each example."""

import functools
import inspect

import keras
import tensorflow as tf

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
        from labels and logits to losses. Keras' losses get one-hot labels, the sparse ones class
        numbers; those that can take logits do, those of probabilities get the softmax, all others
        the logits as they are.
    one_hot : bool
        Whether a callable gets one-hot rows, float32, instead of class numbers.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    if callable(spec):
        return _with_one_hot(spec) if one_hot else spec
    name, arguments = spec if isinstance(spec, (tuple, list)) and len(spec) == 2 else (spec, {})
    if name in CROSS_ENTROPIES and not arguments:
        return cross_entropy
    function = _keras_function(name, spec)
    takes = inspect.signature(function).parameters
    if "from_logits" in takes:
        arguments = {"from_logits": True, **arguments}
    unknown = [key for key in arguments if key not in takes]
    if unknown:
        raise ValueError(f"The loss {name} has no argument {', '.join(unknown)}: {spec!r}")
    chosen = functools.partial(function, **arguments)
    if function.__name__.startswith("sparse"):
        return chosen
    if function.__name__ in OF_PROBABILITIES:
        return _with_one_hot(lambda labels, logits: chosen(labels, tf.nn.softmax(logits)))
    return _with_one_hot(chosen)


def _keras_function(name, spec):
    """The function of a Keras loss, which gives a loss for each example and does not average."""
    try:
        found = keras.losses.get(
            {"softmax_cross_entropy": "categorical_crossentropy"}.get(name, name)
        )
    except (ValueError, TypeError):
        found = None
    function = getattr(found, "fn", found)  # of a Loss object, or a function itself
    if not isinstance(name, str) or not callable(function):
        raise ValueError(
            "loss must be softmax_cross_entropy, sparse_softmax_cross_entropy, the name of a Keras "
            f"loss, (name, arguments), or a callable. Received: {spec!r}"
        )
    return function


def _with_one_hot(loss):
    def of_rows(labels, logits):
        return loss(tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype), logits)

    return of_rows
