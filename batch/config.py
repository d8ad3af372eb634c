"""From the words of a model's config to the objects they stand for, with clear refusals."""

import keras
from batchflow import Config

from batch import schedules
from batch.optimizers import fused

SCHEDULES = {
    "FreezeOut": schedules.FreezeOut,
    "Annealed": schedules.Annealed,
    "Constant": schedules.Constant,
}


def as_dict(config):
    """A config of either kind, keys with slashes nested, as a plain dict of its own."""
    if config is None:
        return {}
    if not isinstance(config, (dict, Config)):
        raise TypeError(f"config must be a dict. Received: {type(config).__name__}")
    return dict(Config(config).config)


def check_keys(config, allowed, where):
    """Refuse keys that nobody reads.

    Raises
    ------
    ValueError
        Names the unknown keys and lists the known ones.
    """
    unknown = sorted(set(config) - set(allowed), key=str)
    if unknown:
        raise ValueError(
            f"Unknown key{'s' * (len(unknown) > 1)} in the config of {where}: "
            f"{', '.join(map(str, unknown))}. Known keys: {', '.join(sorted(allowed))}"
        )


def make_optimizer(spec):
    """A Keras optimizer from its name, `(name, arguments)`, a dict with a `name`, or itself."""
    if isinstance(spec, keras.optimizers.Optimizer):
        return fused(spec)
    if isinstance(spec, (dict, Config)):
        arguments = as_dict(spec)
        name = arguments.pop("name", None)
    elif isinstance(spec, (tuple, list)) and len(spec) == 2:
        name, arguments = spec[0], as_dict(spec[1])
    else:
        name, arguments = spec, {}
    makers = {
        key.lower(): value
        for key, value in vars(keras.optimizers).items()
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
    }
    if not isinstance(name, str) or name.lower() not in makers:
        raise ValueError(
            "optimizer must be a Keras optimizer, its name, (name, arguments), or a dict with a "
            f"name. Received: {spec!r}"
        )
    return fused(makers[name.lower()](**arguments))


def make_schedule(spec, blocks):
    """A schedule from `(name, arguments)` or from itself; `blocks` is filled in.

    Raises
    ------
    ValueError
        If it is unknown or made for another number of blocks.
    """
    if callable(spec):
        made_for = getattr(spec, "blocks", blocks)
        if made_for != blocks:
            raise ValueError(
                f"The network has {blocks} blocks (the classifier not counted). "
                f"Received: a schedule for {made_for}"
            )
        return spec
    known = isinstance(spec, (tuple, list)) and len(spec) == 2 and spec[0] in SCHEDULES
    if not known:
        raise ValueError(
            "schedule must be a callable from the iteration to the blocks' rates, or (name, "
            f"arguments) with a name among {', '.join(SCHEDULES)}. Received: {spec!r}"
        )
    return SCHEDULES[spec[0]](**{**as_dict(spec[1]), "blocks": blocks})


def read_inputs(inputs):
    """(H, W, C) and the number of classes from the `inputs` of a config.

    `inputs` is `{name: {'shape': …}, name: {'classes': …}}` as in BatchFlow's TensorFlow models;
    `classes` is a number or a list of names.

    Raises
    ------
    ValueError
        If there is no shape or no number of classes.
    """
    shape = classes = None
    for description in as_dict(inputs).values():
        shape = description.get("shape", shape)
        classes = description.get("classes", classes)
    if shape is None or classes is None:
        raise ValueError(
            "'inputs' must give a shape and the classes, as in {'images': {'shape': (28, 28, 1)}, "
            f"'labels': {{'classes': 10}}}}. Received: {inputs!r}"
        )
    classes = classes if isinstance(classes, int) else len(classes)
    shape = tuple(int(size) for size in shape)
    if len(shape) not in (2, 3) or min(shape) < 1 or classes < 2:
        raise ValueError(
            "'inputs' must give a shape (H, W) or (H, W, C) and at least 2 classes. "
            f"Received: shape {shape}, {classes} classes"
        )
    return (*shape, 1)[:3], classes
