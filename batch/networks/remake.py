"""New layers like given ones, by way of what a file would hold of them."""

import json
import types

import keras


def remade(layer, change=None):
    """A new layer like one given, not built, from the config that a file would hold.

    So a layer that can be trained can be saved, and read again.

    Parameters
    ----------
    layer : keras.layers.Layer
    change : callable, optional
        From its config to that of the new layer.

    Raises
    ------
    ValueError
        If the config does not make the layer again. It names the innermost layer that is at fault.
    """
    try:
        return _remade(layer, change)
    except Exception as error:
        inner = reversed(layer._flatten_layers(include_self=False))  # noqa: SLF001
        fault, reason = next(filter(None, map(_fault, inner)), (layer, error))
        raise ValueError(
            f"{fault.name} (a {type(fault).__name__}) can't be made again from its config, as "
            "copies and files need it. Make it a class with a get_config that holds what its "
            f"__init__ takes, in plain values and Keras objects. Received: {_first_line(reason)}"
        ) from error


def _fault(layer):
    try:
        _remade(layer)
    except Exception as error:
        return layer, error
    return None


def _remade(layer, change=None):
    # As Keras does to write it, and to read it. The layer is built later, for its new place.
    config = keras.saving.serialize_keras_object(layer)["config"]
    config = json.loads(json.dumps(config))
    return type(layer).from_config(config if change is None else change(config))


def _first_line(error):
    """What an error says first; Keras wraps the cause in the whole config."""
    cause = str(error).rpartition("Exception encountered:")[2]
    lines = filter(None, map(str.strip, cause.splitlines()))
    return next(lines, type(error).__name__)


def own_classes(layers):
    """Classes and functions of the user's own that layers use and Keras has not registered.

    Parameters
    ----------
    layers : iterable of keras.layers.Layer

    Returns
    -------
    dict
        By their names, for Keras' `custom_objects`.

    Raises
    ------
    ValueError
        If two have one name.
    """
    known = {}
    for part in (part for layer in layers for part in layer._flatten_layers()):  # noqa: SLF001
        for value in _objects(part):
            own = value if isinstance(value, types.FunctionType) else type(value)
            if _is_unregistered(own) and known.setdefault(own.__name__, own) is not own:
                raise ValueError(
                    f"{part.name} uses one of two that are called {own.__name__}: give them names "
                    "of their own, or @keras.saving.register_keras_serializable(package=…)."
                )
    return known


def _objects(layer):
    """A layer, and the functions and objects with a config that are its attributes."""
    yield layer
    for name, value in vars(layer).items():
        function = isinstance(value, types.FunctionType) and not hasattr(type(layer), name)
        if function or hasattr(value, "get_config"):
            yield value


def _is_unregistered(own):
    """Whether Keras can't find a class or function by what it writes of it."""
    plain = not own.__module__.startswith(("keras.", "tensorflow.")) and own.__name__ != "<lambda>"
    return plain and keras.saving.get_registered_name(own) == own.__name__
