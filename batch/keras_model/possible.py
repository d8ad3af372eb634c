"""What a `BlockModel` can't do is refused by name."""

import keras

from batch.checks import received
from batch.training.optimizers import fresh, make_optimizer

RATE_CALLBACKS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
OWN = ("call", "train_step", "test_step", "compute_loss", "make_train_function")


def refuse(**arguments):
    """Refuse the first argument of `compile` that is not possible: pairs of value and whether."""
    for name, (value, possible) in arguments.items():
        if not possible:
            raise ValueError(f"BlockModel.compile can't do with this {name}. {received(value)}")


def check_loss(loss, strategy=None):
    """Refuse what is not the loss of one output, or gives no number, or can't be that of parts."""
    refuse(loss=(loss, isinstance(loss, (str, keras.losses.Loss)) or callable(loss)))
    reduction = getattr(loss, "reduction", "mean")
    refuse(reduction=(reduction, reduction not in (None, "none")))
    if strategy is not None and reduction == "sum":
        raise ValueError(
            "Made in the scope of a strategy, a BlockModel needs a loss whose reduction is a mean. "
            "Received: sum"
        )


def check_class(kind, base):
    """Refuse a subclass with methods of its own that training would not call."""
    own = [name for name in OWN if getattr(kind, name) is not getattr(base, name)]
    if own:
        raise ValueError(
            f"A BlockModel trains its blocks by itself, so {own[0]}() of {kind.__name__} would not "
            "be called: put it into a layer, a loss or a metric"
        )


def checked_optimizer(optimizer):
    """What the blocks' optimizers are copies of: like the given one, which stays Keras'."""
    if getattr(optimizer, "use_ema", False):
        raise ValueError("BlockModel.compile can't do with use_ema of an optimizer. Received: True")
    return fresh(make_optimizer(optimizer))


def check_types(network):
    """Refuse float16, which needs a loss scale."""
    for part in network._flatten_layers():  # noqa: SLF001
        if part.compute_dtype == "float16":
            raise ValueError(
                f"BlockModel.compile can't do with mixed_float16, in which {part.name} computes: "
                "make it in mixed_bfloat16 or float32"
            )


def check_callbacks(callbacks, schedule):
    """Refuse a callback that sets the optimizer's rate beside a schedule."""
    callbacks = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    both = [each for each in callbacks if isinstance(each, RATE_CALLBACKS)]
    if both and schedule is not None:
        raise ValueError(
            f"{type(both[0]).__name__} sets the optimizer's rate, and 'schedule' those of the "
            "blocks: give one of the two"
        )


def check_rate(optimizer, before, schedule):
    """Refuse a rate of the optimizer that was set beside a schedule since `compile`."""
    now = float(optimizer.learning_rate)
    if schedule is not None and now != before:
        raise ValueError(
            "The optimizer's learning rate was set, and 'schedule' sets those of the blocks: "
            f"compile again for others. Expected: {before:g}. Received: {now:g}"
        )
