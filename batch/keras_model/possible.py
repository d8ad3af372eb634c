"""What `BlockModel.compile` can't do is refused by name."""

from batch.checks import received
from batch.training.optimizers import fresh, make_optimizer


def refuse(**arguments):
    """Refuse the first argument of `compile` that is not possible: pairs of value and whether."""
    for name, (value, possible) in arguments.items():
        if not possible:
            raise ValueError(f"BlockModel.compile can't do with this {name}. {received(value)}")


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
