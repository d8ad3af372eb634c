"""What layers add to the loss: penalties of their weights, of their outputs, and by `add_loss`.

Keras keeps what a call adds in the layers themselves, where one thread could meet the tensors of
another, and a conditional those of its branches. Here, a call's losses go to whoever asks for them.
"""

import contextlib
import functools
import threading

import tensorflow as tf

_asked = threading.local()


@contextlib.contextmanager
def added_losses(layer):
    """Within this context, what a layer and those within it add to the loss goes to a list.

    Other threads are not affected. The layers themselves keep nothing.

    Yields
    ------
    list of tensor
        Of activity regularizers and `add_loss`; weights are not in it (see `weight_penalty`).
    """
    before = getattr(_asked, "losses", None)
    for part in layer._flatten_layers():  # noqa: SLF001 itself and all within
        _make_it_ask(part)
    _asked.losses = []
    try:
        yield _asked.losses
    finally:
        _asked.losses = before


def regularized(layer, frozen=True):
    """The weights in a layer that have a regularizer, with those that are frozen or without."""
    weights = [
        weight
        for part in layer._flatten_layers()  # noqa: SLF001
        for weight in part._trainable_variables  # noqa: SLF001 `trainable_weights` lacks frozen ones
        if weight.trainable or (frozen and not part.trainable)
    ]
    each_once = {id(weight): weight for weight in weights if weight.regularizer is not None}
    return list(each_once.values())


def weight_penalty(weights):
    """The penalty of weights that have a regularizer, as from `total`."""
    return total([weight.regularizer(weight) for weight in weights])


def total(losses):
    """The sum of some losses, float32, as a list of one; an empty list if there are none."""
    sums = [tf.reduce_sum(tf.cast(loss, tf.float32)) for loss in losses]
    return [tf.add_n(sums)] if sums else []


def conditional(layer, predicate, true, false):
    """`tf.cond`, of which `layer` adds to the loss what layers within it add in the branch taken.

    Parameters
    ----------
    layer : keras.layers.Layer
    predicate : tensor of bool
    true, false : callable
        Take no arguments. What adds in `false` must add in `true` as well.
    """
    in_true = []

    def collecting(branch):
        with added_losses(layer) as losses:
            outputs = branch()
        return outputs, total(losses)

    def when_true():  # is traced first
        outputs, added = collecting(true)
        in_true.extend(added)
        return outputs, added

    def when_false():
        outputs, added = collecting(false)
        return outputs, added or [tf.zeros(()) for _ in in_true]

    outputs, added = tf.cond(predicate, when_true, when_false)
    for loss in added:
        layer.add_loss(loss)
    return outputs


def _make_it_ask(layer):
    if not isinstance(layer.add_loss, functools.partial):
        layer.add_loss = functools.partial(_add_loss, layer.add_loss)


def _add_loss(add_loss, loss):
    losses = getattr(_asked, "losses", None)
    added = tf.nest.flatten(loss)
    if losses is None or not all(map(tf.is_tensor, added)):
        add_loss(loss)  # Keras' own, which refuses what is no tensor
    else:
        losses.extend(added)
