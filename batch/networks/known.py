"""Configs of Keras objects, as files hold them: nothing is made of them but what is known.

Keras looks classes and functions up by the names that a file gives, and imports modules by them.
Here they are looked up first, among what the user registered and what Keras itself has to build
networks of, and nothing is imported.
"""

import sys
import types

import keras

from batch.shown import name_of

KINDS = (  # of Keras' classes that networks are made of
    *(keras.layers.Layer, keras.initializers.Initializer, keras.regularizers.Regularizer),
    *(keras.constraints.Constraint, keras.optimizers.Optimizer, keras.losses.Loss),
    *(keras.optimizers.schedules.LearningRateSchedule, keras.metrics.Metric),
    *(keras.dtype_policies.DTypePolicy, keras.dtype_policies.DTypePolicyMap),
    *(keras.quantizers.Quantizer, keras.random.SeedGenerator),
    *filter(None, [getattr(keras.quantizers, "QuantizationConfig", None)]),  # of later versions
)
# Layers that hold code, or read what a path in their config names.
FOREIGN = {"TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"}
TYPES = {
    *("bool", "string", "bfloat16", "complex64", "complex128"),
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (4, 8, 16, 32, 64)),
    *(f"float{bits}" for bits in (8, 16, 32, 64)),
}
# Modules with functions by name, of those of Keras.
FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
OPERATIONS = "keras.src.ops."
OF_FUNCTIONS = (*(f"keras.src.{name}." for name in FUNCTIONS), OPERATIONS)
VALUES = {  # of Keras' own notation
    *("__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"),
}


class UnknownError(ValueError):
    """A config with classes or functions that only the user's program can know."""


def deserialize(config, classes=None):
    """The Keras object of a config, if `check_known` admits it."""
    check_known(config, classes)
    return keras.saving.deserialize_keras_object(config, classes)


def check_known(config, classes=None):
    """Refuse a config of what is not known; nothing is made or imported.

    Parameters
    ----------
    config : dict
        Of a Keras object, in plain values as from JSON.
    classes : dict, optional
        The user's own classes and functions by name, besides those that are registered.

    Raises
    ------
    UnknownError
        If it has classes or functions of the user's that are not registered.
    ValueError
        If it has code, or a class or function of Keras' that is no part of a network.
    """
    waiting, unknown = [config], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += part.values()
            if isinstance(part.get("class_name"), str):
                unknown |= _unknown(part, classes)
            elif "class_name" in part:
                raise ValueError("it has a class without a name")
        elif isinstance(part, (list, tuple)):
            waiting += part
    if unknown:
        raise UnknownError(
            f"Keras doesn't know {' and '.join(sorted(unknown))}. Import what defines it, with "
            "@keras.saving.register_keras_serializable(), or give the layers as 'network'"
        )


def _unknown(part, classes):
    """The name of a class or function that only the user's program can know; or nothing."""
    name, inner = part["class_name"], part.get("config")
    if name in VALUES:
        _check_type(inner)
        return set()
    if name.startswith("__"):
        raise ValueError(f"it has code, as a {name_of(name)}, and no code of files is run")
    if name == "function":
        return _unknown_function(inner, part, classes)
    registered = part.get("registered_name", name)
    if not isinstance(registered, (str, type(None))):
        raise ValueError("it has a class without a name")
    if keras.saving.get_registered_object(registered, classes) is not None:
        return set()
    _check_plain(name, inner)
    module = part.get("module")
    if module is None:  # Keras takes it from what a layer takes there
        return {name_of(name)} if "registered_name" in part else set()
    if not _is_keras(module):
        return {name_of(registered or name)}
    kind = _of_keras(module, name)
    _check_plain(getattr(kind, "__name__", name), inner)
    operation = isinstance(kind, type) and issubclass(kind, keras.Operation)
    if operation and kind.__module__.startswith(OPERATIONS):
        return set()
    if not isinstance(kind, type) or not issubclass(kind, KINDS):
        raise ValueError(f"it has {name_of(f'{module}.{name}')}, which is no part of a network")
    return set()


def _unknown_function(name, part, classes):
    if not isinstance(name, str):
        raise ValueError("it has a function without a name")
    if keras.saving.get_registered_object(name, classes) is not None:
        return set()
    module = part.get("module")
    places = [f"keras.{place}" for place in FUNCTIONS] if module == "builtins" else [module]
    for place in filter(_is_keras, places):
        function = _of_keras(place, name)
        if isinstance(function, types.FunctionType) and function.__module__.startswith(
            OF_FUNCTIONS
        ):
            return set()
    if _is_keras(module):
        raise ValueError(f"it has {name_of(f'{module}.{name}')}, which is no part of a network")
    return {name_of(name)}


def _check_plain(name, config):
    """Refuse layers that run code, or read files that their config names."""
    if name in FOREIGN:
        raise ValueError(f"it has a {name}, which runs what is no part of the file")
    config = config if isinstance(config, dict) else {}
    function = config.get("function")
    if name == "Lambda" and not (
        isinstance(function, dict) and function.get("class_name") == "function"
    ):
        raise ValueError("it has code, as a Lambda, and no code of files is run")
    if isinstance(config.get("vocabulary"), str):
        raise ValueError(f"it has a {name_of(name)} that reads another file, its vocabulary")


def _check_type(config):
    dtype = config.get("dtype") if isinstance(config, dict) else None
    if dtype is not None and (not isinstance(dtype, str) or dtype not in TYPES):
        raise ValueError("it has values of a type that no network has")


def _is_keras(module):
    return isinstance(module, str) and module.split(".")[0] == "keras"


def _of_keras(module, name):
    """What Keras has under a name in one of its modules that is imported; None if nothing."""
    place = sys.modules.get(module)
    if place is None:
        place = keras
        for part in module.split(".")[1:]:
            place = getattr(place, "__dict__", {}).get(part)
    return getattr(place, "__dict__", {}).get(name) if isinstance(name, str) else None
