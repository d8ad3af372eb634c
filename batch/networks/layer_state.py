"""The state of layers that is not in their configs: from a layer to its copy."""

import tempfile

import keras
import numpy as np

from batch.networks.freeze_by_name import set_trainable


def pairs(layer, twin):
    """A layer and its copy, and all layers within, each with its copy; outer ones first.

    Where one of the two is not built, the other may hold more layers: those that building makes.

    Raises
    ------
    ValueError
        If the copy has other layers.
    """
    yield layer, twin
    inner, made = _children(layer), _children(twin)
    fewer, more = len(inner) > len(made), len(inner) < len(made)
    if (fewer and (twin.built or not layer.built)) or (more and (layer.built or not twin.built)):
        raise ValueError(
            f"{layer.name} can't be copied: its config makes {len(made)} layers within it, and it "
            f"has {len(inner)}. One that it has twice, or was given later, is not in its config."
        )
    for part, twin_part in zip(inner, made):
        yield from pairs(part, twin_part)


def _children(layer):
    inner = layer._layers  # noqa: SLF001 in the order in which the layer got them
    return [part for part in inner if not isinstance(part, keras.layers.InputLayer)]


def own_variables(layer):
    """The weights of a layer without those of the layers within it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]  # noqa: SLF001


def value_of(variable):
    """A variable's value, or anything else as an array."""
    # Not the variable's own `numpy`, which warns of what NumPy deprecates.
    return variable.value.numpy() if isinstance(variable, keras.Variable) else np.array(variable)


def refuse_shared(blocks):
    """Refuse blocks that have a layer or a weight in common: each would train its own.

    Layers that are built and have no weights do no harm.

    Raises
    ------
    ValueError
        If there is one; it names the layer.
    """
    owners = {}
    for number, block in enumerate(blocks):
        for part in block._flatten_layers():  # noqa: SLF001
            weights = own_variables(part)
            for thing in (*weights, *([part] if weights or not part.built else [])):
                if owners.setdefault(id(thing), number) != number:
                    raise ValueError(
                        f"{part.name} is used in several blocks, and blocks share no weights: let "
                        "one block hold all of its uses."
                    )


def copy_state(layer, twin, shape, trainable=False):
    """Give a copy the state of the original: weights, what was adapted, what is trainable.

    Parameters
    ----------
    layer, twin : keras.layers.Layer
        The original and its copy, which is built.
    shape : tuple of int
        Of an image, for the message.
    trainable : bool
        Make all of the copy trainable.

    Raises
    ------
    ValueError
        If the copy can't have it.
    """
    forth, back = {}, {}
    for part, twin_part in pairs(layer, twin):
        variables = _paired(part, twin_part, shape)
        for thing, made in ((part, twin_part), *variables):
            if forth.setdefault(id(thing), made) is not made or (
                back.setdefault(id(made), thing) is not thing
            ):
                raise ValueError(
                    f"{part.name} has a weight in common with another layer in {layer.name}, and a "
                    "copy made from its config has not: let the class of the block share it."
                )
        twin_part.name = part.name
        set_trainable(twin_part, trainable or part.trainable)
        _copy_own_state(part, twin_part, variables)
        if part.trainable and not trainable:
            for variable, made in variables:
                made.trainable = variable.trainable


def _paired(part, twin, shape):
    """The weights of a layer and those of its copy, by name where names tell them apart."""
    given, made = own_variables(part), own_variables(twin)
    if not given:
        return []  # not built, or without weights
    names = [variable.name for variable in given]
    if len(set(names)) == len(names) and set(names) == {variable.name for variable in made}:
        by_name = {variable.name: variable for variable in made}
        made = [by_name[name] for name in names]
    shapes = [[tuple(variable.shape) for variable in variables] for variables in (given, made)]
    if len(given) != len(made):
        raise ValueError(
            f"{part.name} can't be copied: its config makes {len(made)} weights of its own, and it "
            f"has {len(given)}: {', '.join(names)}"
        )
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{part.name} was made for other images than those of shape {shape}: its weights have "
            f"shapes {shapes[0]}, and for these images {shapes[1]}"
        )
    return list(zip(given, made))


def _copy_own_state(part, twin, variables):
    """Copy what a layer saves, and then its weights as they are: LoRA, for one, merges its own."""
    store = {}
    if type(part).load_own_variables is not keras.layers.Layer.load_own_variables:
        part.save_own_variables(store)
    if store:
        twin.load_own_variables({key: value_of(value) for key, value in store.items()})
    for variable, made in variables:
        made.assign(variable)
    if hasattr(part, "save_assets"):
        _copy_assets(part, twin)
    if getattr(part, "lora_enabled", False):
        twin.lora_alpha = part.lora_alpha


def _copy_assets(part, twin):
    with tempfile.TemporaryDirectory() as folder:
        try:
            part.save_assets(folder)
            twin.load_assets(folder)
        except Exception as error:  # of whatever kind the layer raises, as without a vocabulary
            raise ValueError(
                f"{part.name} can't be copied: what it saves beside its weights, as a vocabulary, "
                f"can't be read again. Was it adapted? Received: {type(error).__name__}"
            ) from error


def unsaved_state(network):
    """What Keras' file of a network lacks: what is trainable within blocks, and LoRA unmerged.

    Parameters
    ----------
    network : keras.Sequential

    Returns
    -------
    dict from str to ndarray
        For `set_unsaved_state`.
    """
    parts = network._flatten_layers()  # noqa: SLF001
    state = {
        "layers": np.array([part.trainable for part in parts]),
        "weights": np.array([weight.trainable for weight in network.weights]),
    }
    for number, part in _with_lora(parts):
        state[f"{number}/alpha"] = np.array(part.lora_alpha)
        state |= {f"{number}/{weight.name}": value_of(weight) for weight in own_variables(part)}
    return state


def set_unsaved_state(network, state):
    """Give a network that was read from a file what `unsaved_state` gave of it."""
    parts = network._flatten_layers()  # noqa: SLF001
    for part, trainable in zip(parts, state["layers"], strict=True):
        set_trainable(part, bool(trainable))
    for weight, trainable in zip(network.weights, state["weights"], strict=True):
        weight.trainable = bool(trainable)
    for number, part in _with_lora(parts):
        part.lora_alpha = state[f"{number}/alpha"].item()
        for weight in own_variables(part):
            weight.assign(state[f"{number}/{weight.name}"])


def _with_lora(parts):
    return [pair for pair in enumerate(parts) if getattr(pair[1], "lora_enabled", False)]
