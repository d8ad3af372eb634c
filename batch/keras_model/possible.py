"""What `BlockModel` can't do is refused by name."""

import keras

from batch.checks import received
from batch.training.optimizers import fresh, make_optimizer

RATE_CALLBACKS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


def refuse(**arguments):
    """Refuse the first argument of `compile` that is not possible: pairs of value and whether."""
    for name, (value, possible) in arguments.items():
        if not possible:
            raise ValueError(f"BlockModel.compile can't do with this {name}. {received(value)}")


def refuse_rates_of(callbacks):
    """Refuse callbacks of `fit` that set the optimizer's rate, beside a schedule."""
    callbacks = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    both = [one for one in callbacks if isinstance(one, RATE_CALLBACKS)]
    if both:
        raise ValueError(
            f"{type(both[0]).__name__} sets the optimizer's rate, and 'schedule' those of the "
            "blocks: give one of the two"
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
