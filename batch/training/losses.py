"""Losses by name: from labels and logits to the loss of each example."""

import functools
import inspect

import keras
import tensorflow as tf

from batch.checks import check_arguments, received
from batch.spelling import did_you_mean

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
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")  # reductions; the same here
FunctionLoss = keras.losses.MeanSquaredError.__base__  # what `compile` makes of a function
KERAS = {  # its losses, classes and functions, by their names
    name: value
    for name, value in vars(keras.losses).items()
    if inspect.isroutine(value) or inspect.isclass(value)
    if name not in ("Loss", "get", "serialize", "deserialize")
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


class Objective:
    """The loss of a batch: the (weighted) mean over its examples.

    Parameters
    ----------
    loss : callable
        From labels `(n,)` and logits `(n, classes)` to losses `(n,)`.
    logits : KerasTensor
        Of the network.

    Attributes
    ----------
    labels : TensorSpec
        Of the labels that it takes.
    penalizes_frozen : bool
        Whether penalties of weights that are frozen for good count.
    by_weight : bool
        Whether the mean is Σ wᵢ·lᵢ / Σ wᵢ, not Σ wᵢ·lᵢ / n.
    """

    labels, penalizes_frozen, by_weight = tf.TensorSpec((None,), tf.int64), True, True

    def __init__(self, loss, logits):
        self._losses = compiled_loss(loss, logits)

    def __call__(self, labels, logits, weights):
        """The loss; the weights of the examples may be None."""
        return weighted_mean(self._losses(labels, logits), weights)


class KerasObjective(Objective):
    """The loss of a compiled Keras model.

    Parameters
    ----------
    loss : callable
        From labels, logits and weights to the loss of a batch.
    labels : TensorSpec
    by_weight : bool
        As for `Objective`: of its reduction.
    """

    penalizes_frozen = False

    def __init__(self, loss, labels, by_weight=False):
        self._loss, self.labels, self.by_weight = loss, labels, by_weight

    def __call__(self, labels, logits, weights):
        """The loss; the weights of the examples may be None."""
        return tf.cast(self._loss(labels, logits, weights), tf.float32)


def compiled_loss(loss, logits):
    """The loss as a function that TensorFlow traces only once.

    Raises
    ------
    ValueError
        If it does not take labels `(n,)` and logits `(n, classes)`, or gives no losses `(n,)`.
    """
    classes = logits.shape[-1]

    def losses(labels, outputs):
        return tf.cast(loss(labels, outputs), tf.float32)

    def traced(count):
        return tf.function(
            losses,
            input_signature=[
                tf.TensorSpec((count,), tf.int64),
                tf.TensorSpec((count, classes), tf.float32),
            ],
            autograph=False,
        )

    expected = (
        f"The loss must take labels (n,) and logits (n, {classes}) and give losses (n,), or one "
        "for all."
    )
    # Neither 1 nor the classes: with this many examples, labels can't be broadcast to the logits.
    count = 2 * classes + 2
    compiled = traced(None)
    try:
        shape = traced(count).get_concrete_function().outputs[0].shape
        compiled.get_concrete_function()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{expected} {received(loss)}. It raised {type(error).__name__}: {reason}"
        ) from error
    if shape.num_elements() not in (None, 1) and (shape[0] != count or count in shape[1:]):
        raise ValueError(f"{expected} Received: shape {shape} for {count} examples")
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
    spec : str, (str, dict), keras.losses.Loss or callable
        - `softmax_cross_entropy` or `sparse_softmax_cross_entropy`, which are the same here.
        - The name of a Keras loss, as `mse` or `CategoricalHinge`, with or without arguments; its
          `from_logits` is True.
        - A Keras loss: an object, a class, or a function, `functools.partial` included. If it has
          the argument `from_logits`, that must be True.
        - A callable of the user's own, from labels and logits to losses.

        Keras' losses get one-hot labels or class numbers, as they expect. Losses of probabilities
        get the softmax; all others get the logits.
    one_hot : bool
        Whether a loss of the user's own gets one-hot rows, float32, in place of class numbers.

    Raises
    ------
    ValueError
        If the name is not known, or a Keras loss or its arguments don't fit.
    """
    named = isinstance(spec, (tuple, list)) and len(spec) == 2
    name, arguments = spec if named else (spec, {})
    if isinstance(name, str) and name in CROSS_ENTROPIES and not arguments:
        return cross_entropy
    loss = _by_name(name, arguments, spec) if named or isinstance(spec, str) else _by_itself(spec)
    kind = None
    if isinstance(loss, keras.losses.Loss):
        _check_means(loss)
        kind = _checked_kind(loss)
        loss = _of_examples(loss)
    if kind in OF_PROBABILITIES:
        loss = _of_softmax(loss)
    takes_rows = one_hot if kind is None else kind not in OF_NUMBERS
    return _with_one_hot(loss) if takes_rows else loss


def _by_name(name, arguments, spec):
    """A Keras loss object from the name of a class or function."""
    maker = _maker(name)
    if maker is None or not isinstance(arguments, dict):
        _refuse(spec)
    takes = inspect.signature(maker).parameters
    check_arguments(maker, arguments, f"loss '{name}'", ("y_true", "y_pred"))
    if "from_logits" in takes:
        arguments = {"from_logits": True, **arguments}
    return maker(**arguments) if inspect.isclass(maker) else FunctionLoss(maker, **arguments)


def _maker(name):
    """The Keras class or function of a name; None if there is none."""
    if not isinstance(name, str):
        return None
    name = name.replace("softmax_cross_entropy", "categorical_crossentropy")
    try:
        return KERAS.get(name) or KERAS[keras.losses.get(name).__name__]  # as mse
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _by_itself(spec):
    """A Keras loss object from one, or from a class or function of Keras'; others as they are."""
    if inspect.isclass(spec) and issubclass(spec, keras.losses.Loss):
        try:
            return spec()
        except TypeError as error:
            raise ValueError(f"loss: give an object of {spec.__name__}: {error}") from error
    function = spec.func if isinstance(spec, functools.partial) else spec
    if _is_of_keras(function) and not getattr(spec, "args", ()):
        return FunctionLoss(function, **getattr(spec, "keywords", {}))
    return spec if callable(spec) else _refuse(spec)


def _is_of_keras(function):
    return any(function is value for value in KERAS.values())


def _refuse(spec):
    name = spec[0] if isinstance(spec, (tuple, list)) and spec else spec
    known = ["softmax_cross_entropy", "sparse_softmax_cross_entropy", *KERAS]
    raise ValueError(
        "loss must be softmax_cross_entropy, sparse_softmax_cross_entropy, the name of a Keras "
        f"loss, (name, arguments), a Keras loss, or a callable. {received(spec)}"
        f"{did_you_mean(name, known)}"
    )


def _check_means(loss):
    """Refuse a loss whose own mean over examples would be another than that of a step."""
    name = type(loss).__name__
    if loss.reduction not in MEANS:
        raise ValueError(
            f"loss: a step takes the mean over its examples, so the reduction of {name} must be "
            f"{MEANS[0]}, its default. {received(loss.reduction)}"
        )
    if loss.dtype not in ("float32", "float64"):
        raise ValueError(
            f"loss: the dtype of {name} must be float32 or float64, since losses are never less "
            f"precise. {received(loss.dtype)}"
        )


def _checked_kind(loss):
    """The name of the Keras function that a loss computes; None for one of the user's own."""
    function = getattr(loss, "fn", None)
    if not _is_of_keras(function):
        return None
    if function is keras.losses.ctc:
        raise ValueError("loss: CTC compares sequences, and the network gives one row of logits.")
    name = (function if type(loss) is FunctionLoss else type(loss)).__name__
    try:
        given = inspect.signature(function).bind(None, None, **loss._fn_kwargs)  # noqa: SLF001
    except TypeError as error:
        raise ValueError(f"loss: the arguments of {name} don't fit: {error}") from error
    given.apply_defaults()
    if not given.arguments.get("from_logits", True):
        raise ValueError(
            f"loss: the network gives logits, so {name} must have from_logits=True. "
            f"Received: from_logits={given.arguments['from_logits']}"
        )
    return function.__name__


def _of_examples(loss):
    """A Keras loss as a function to the loss of each example, where it does not compare them."""
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        return loss  # of the user's own, which takes the mean itself

    def of_examples(labels, logits):
        labels, logits = tf.cast(labels, loss.dtype), tf.cast(logits, loss.dtype)
        losses = loss.call(labels, logits)
        masked = getattr(losses, "_keras_mask", None) is not None
        return loss(labels, logits) if masked else losses  # the mean over what the mask leaves

    return of_examples


def _of_softmax(loss):
    return lambda labels, logits: loss(labels, tf.nn.softmax(logits))


def _with_one_hot(loss):
    def of_rows(labels, logits):
        return loss(tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype), logits)

    return of_rows
