"""New layers like given ones, by way of what a file would hold of them."""

import inspect
import json
import textwrap
import types

import keras

from batch.networks.layer_state import pairs


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
        made = _remade(layer, change)
    except Exception as error:
        inner = layer._flatten_layers(include_self=False)[::-1]  # noqa: SLF001
        raise _refusal(*next(filter(None, map(_fault, inner)), (layer, error))) from error
    for part, twin in pairs(layer, made):
        reason = _lost_argument(part, twin)
        if reason:
            raise _refusal(part, reason)
    return made


def _remade(layer, change=None):
    # As Keras does to write it, and to read it. The layer is built later, for its new place.
    config = keras.saving.serialize_keras_object(layer)["config"]
    config = json.loads(json.dumps(config))
    return type(layer).from_config(config if change is None else change(config))


def _fault(layer):
    try:
        _remade(layer)
    except Exception as error:
        return layer, error
    return None


def _refusal(layer, reason):
    return ValueError(
        f"{layer.name} (a {type(layer).__name__}) can't be made again from its config, as copies "
        "and files need it. Make it a class with a get_config that holds what its __init__ takes, "
        f"in plain values and Keras objects. Received: {_first_words(reason)}"
    )


def is_keras(layer):
    """Whether a layer is of a class of Keras' own."""
    return type(layer).__module__.startswith("keras.")


def _lost_argument(layer, twin):
    """What a layer of the user's own was made with, and its copy was not; None if nothing."""
    given, again = (getattr(part, "_auto_config", None) for part in (layer, twin))
    if again is None or is_keras(layer):
        return None
    for key, value in again.config.items():
        if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
            return f"{key} is an array in its config, and comes back as a dict."
    named = inspect.signature(type(layer).__init__).parameters
    for key, value in (given.config if given else {}).items():
        default = named[key].default if key in named else value
        if value != default and again.config.get(key, default) == default:
            return f"Its get_config leaves out {key}."
    return None


def _first_words(reason):
    """What an error says first; Keras wraps the cause in the whole config."""
    cause = str(reason).rpartition("Exception encountered:")[2].strip()
    return textwrap.shorten(cause or type(reason).__name__, 160, placeholder=" …")


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
        If two classes of layers have one name.
    """
    classes, others = {}, {}
    for part in (part for layer in layers for part in layer._flatten_layers()):  # noqa: SLF001
        kind = type(part)
        if _is_unregistered(kind) and classes.setdefault(kind.__name__, kind) is not kind:
            raise ValueError(
                f"{part.name} is of another class called {kind.__name__} than an earlier layer: "
                "register them with @keras.saving.register_keras_serializable(package=…)."
            )
        for own in filter(_is_unregistered, _used(part)):
            others.setdefault(own.__name__, set()).add(own)
    unambiguous = {name: found.pop() for name, found in others.items() if len(found) == 1}
    return {**unambiguous, **classes}


def _used(layer):
    """Functions, and classes of objects with a config, that are attributes of a layer."""
    for name, value in vars(layer).items():
        if isinstance(value, types.FunctionType):
            if not hasattr(type(layer), name):  # not one of its methods, which Keras wraps
                yield value
        elif hasattr(value, "get_config"):
            yield type(value)


def _is_unregistered(own):
    """Whether Keras can't find a class or function by what it writes of it."""
    plain = not own.__module__.startswith(("keras.", "tensorflow.")) and own.__name__ != "<lambda>"
    return plain and keras.saving.get_registered_name(own) == own.__name__
