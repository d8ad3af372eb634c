"""Keras' own models: cutting a functional model into blocks, weights of `keras.applications`."""

from collections import Counter

import keras

from batch.checks import received, sequence
from batch.networks.equality import difference, fitting_outputs, outputs
from batch.networks.freeze_by_name import distinguishes
from batch.networks.layer_state import refuse_shared
from batch.spelling import did_you_mean

SIDE = 224  # pixels, of images of a model that takes any


def as_blocks(model, cuts=None):
    """Cut a functional model into blocks; in a row, they compute what the model computes.

    The blocks are Keras models named after their last layers. They share layers and weights with
    the model.

    Parameters
    ----------
    model : keras.Model
        With one input and one output, as `keras.applications.ResNet50(weights=None)`. To train it,
        its output must be logits: `classifier_activation=None`.
    cuts : sequence of str, optional
        Names of the layers after which to cut, in their order. What comes after the last of them is
        the classifier. By default `block_ends`, after augmentation in front, and before the last
        layer with weights and the dropout before that.

    Returns
    -------
    list of keras.Model
        For the `network` of a model's config.

    Raises
    ------
    ValueError
        If a name is not that of a layer, or the rest needs more than the output of that layer, as
        within a residual block. The message names the layers after which the model can be cut. Or
        if two blocks would share a layer, or the blocks would not compute what the model does.

    Examples
    --------
    >>> options = {"weights": None, "classes": 10, "classifier_activation": None}
    >>> model = keras.applications.MobileNetV2((32, 32, 3), **options)
    >>> blocks = as_blocks(model, ["block_2_add", "block_5_add"])
    >>> [block.name for block in blocks[:2]]
    ['block_2_add', 'block_5_add']
    """
    _check_functional(model)
    possible = _bottlenecks(model)
    if cuts is None:
        chosen = {*block_ends(model), *_around_weights(model, possible)}
        cuts = [name for name in possible if name in chosen]
    cuts = [cuts] if isinstance(cuts, str) else sequence("cuts", cuts, "names of layers")
    if not all(isinstance(name, str) for name in cuts):
        raise TypeError(f"cuts must be a list of names of layers. {received(cuts)}")
    wrong = [name for name in cuts if name not in possible]
    if wrong or not cuts or [name for name in possible if name in cuts] != cuts:
        raise ValueError(
            f"cuts must name, in their order, layers that {model.name} can be cut after: "
            f"{', '.join(possible) or 'none'}. Received: {', '.join(wrong or cuts) or 'none'}"
            f"{did_you_mean(wrong, possible)}"
        )
    ends = [*(possible[name] for name in cuts), model.outputs[0]]
    starts = [model.inputs[0], *ends[:-1]]
    names = [*cuts, _operation(model.outputs[0]).name]
    blocks = [keras.Model(*part, name=name) for *part, name in zip(starts, ends, names)]
    refuse_shared(blocks)
    _refuse_unequal(model, blocks)
    return blocks


def _check_functional(model):
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise ValueError(f"as_blocks takes a functional keras.Model as model. {received(model)}")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "as_blocks takes a model with one input and one output. "
            f"{model.name} has {len(model.inputs)} and {len(model.outputs)}"
        )


def _refuse_unequal(model, blocks):
    """Refuse blocks that, in a row, compute something else than the model."""
    features, expected = fitting_outputs(model)
    for block in blocks if expected is not None else ():
        features = outputs(block, features)
    if expected is not None and difference(features, expected):
        raise ValueError(
            f"The blocks of {model.name} compute something else than {model.name}. It has a call "
            "of its own, or a mask that passes from one block to the next."
        )


def _bottlenecks(model):
    """Outputs that alone lead to the rest of the model, by their layers' names, in their order."""
    by_depth = model._nodes_by_depth  # noqa: SLF001
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    uses = Counter(id(tensor) for node in nodes for tensor in node.arguments.keras_tensors)
    waiting, bottlenecks = set(), {}  # waiting: outputs that later nodes still use
    for node in nodes:
        uses.subtract(id(tensor) for tensor in node.arguments.keras_tensors)
        waiting = {tensor for tensor in waiting if uses[tensor]}
        waiting |= {id(tensor) for tensor in node.outputs}
        if len(waiting) == 1 and node.arguments.keras_tensors:
            bottlenecks[node.operation.name] = node.outputs[0]
    return {name: tensor for name, tensor in bottlenecks.items() if tensor is not model.outputs[0]}


def block_ends(model):
    """Where the blocks of a functional model end.

    These are the first of its residual blocks' input, and each of them; in a model without any, the
    last layers before images become smaller.

    Parameters
    ----------
    model : keras.Model
        As for `as_blocks`.

    Returns
    -------
    list of str
        Names of layers, in their order.
    """
    _check_functional(model)
    possible = _bottlenecks(model)
    names, sums = list(possible), [name for name, made in possible.items() if _is_sum(made)]
    if not sums:
        return _before_smaller(model, possible)
    stem = names[: names.index(sums[0])][-1:]
    return [*stem, *(_with_activation(name, names, possible) for name in sums)]


def _is_sum(output):
    return type(_operation(output)).__name__ == "Add"  # a layer, or keras.ops.add


def _with_activation(name, names, possible):
    """The name of the activation that follows a sum at once, if one does; else its own."""
    following = names[names.index(name) + 1 :][:1]
    activations = (keras.layers.Activation, keras.layers.ReLU)
    follows = following and isinstance(_operation(possible[following[0]]), activations)
    return following[0] if follows else name


def _before_smaller(model, possible):
    """The last of the possible cuts before images, if they are 224×224, become smaller."""
    ends = {
        name: made
        for name, made in possible.items()
        if not isinstance(_operation(made), keras.layers.ZeroPadding2D)
    }
    if not ends:
        return []
    shapes = keras.Model(model.inputs, ends).compute_output_shape(
        (1, *(side or SIDE for side in model.inputs[0].shape[1:]))
    )
    sides = [shapes[name][1] if len(shapes[name]) == 4 else 0 for name in ends]
    pairs = zip(ends, sides, [*sides[1:], 0])
    return [name for name, side, after in pairs if after < side]


def _around_weights(model, possible):
    """The last of the possible cuts before the classifier, and after augmentation in front.

    The classifier is the last layer with weights, and what precedes it and does something in
    training alone, as dropout. Neither that nor augmentation must freeze with layers beside it.
    """
    order = [operation.name for operation in model.operations]
    weighted = [order.index(layer.name) for layer in model.layers if layer.weights]
    first, last = min(weighted, default=0), max(weighted, default=0)
    trains = {name for name, made in possible.items() if _only_trains(_operation(made))}
    in_front = [name for name in possible if name in trains and order.index(name) < first]
    before = [name for name in possible if order.index(name) < last]
    while before and before[-1] in trains:
        before.pop()
    return [*in_front[-1:], *before[-1:]]


def _only_trains(operation):
    """Whether an operation has no weights, and computes something else in training."""
    is_layer = isinstance(operation, keras.layers.Layer)
    return is_layer and not operation.weights and distinguishes(operation)


def _operation(output):
    return output._keras_history.operation  # noqa: SLF001


CHOICES = {"use_bias": True, "stride_first": True, "epsilon": 1.001e-5}


def take_weights(network, model):
    """Give a ResNet of ours the weights and statistics of a ResNet of `keras.applications`.

    Then it computes the same. It must have been made with `CHOICES`, as `keras.applications` makes
    its own: convolutions with biases, the stride in the first 1×1 convolution of a block, and the
    same epsilon.

    Parameters
    ----------
    network : keras.Sequential
        As from `batch.networks.resnet.resnet` of depth 50, 101 or 152.
    model : keras.Model
        As from `keras.applications.ResNet50(weights=…)`. If it has no top, our classifier keeps its
        own weights. If it has one, its outputs are the softmax of our logits, unless it was made
        with `classifier_activation=None`. From then on the network expects images as the model
        does, from `keras.applications.resnet.preprocess_input`. Give them as float32, since the
        network divides `uint8` by 255.

    Raises
    ------
    ValueError
        If the two do not fit; the network then keeps its own weights.

    Notes
    -----
    The network is a ResNet made with `CHOICES` and as many classes as the model.
    """
    stem, *blocks, classifier = network.layers
    blocks = [getattr(layer, "block", layer) for layer in blocks]
    _check_choices([stem, *blocks])
    pairs = [(stem.convolution, "conv1_conv"), (stem.normalization, "conv1_bn")]
    names = list(dict.fromkeys(filter(None, map(_block_name, model.layers))))
    if len(names) != len(blocks):
        raise ValueError(f"{model.name} has {len(names)} blocks, the network {len(blocks)}.")
    for layer, name in zip(blocks, names):
        pairs += _pairs(layer, name)
    theirs = {layer.name: layer for layer in model.layers}
    if "predictions" in theirs:
        pairs.append((classifier.dense, "predictions"))
    _check_shapes(pairs, theirs, model.name)
    for ours, name in pairs:
        ours.set_weights(theirs[name].get_weights())


def _check_shapes(pairs, theirs, model_name):
    for ours, name in pairs:
        given = [tuple(weight.shape) for weight in theirs[name].weights] if name in theirs else []
        expected = [tuple(weight.shape) for weight in ours.weights]
        if given != expected:
            raise ValueError(
                f"{ours.path} has weights of shapes {expected}, but {name} of {model_name} {given}."
            )


def _check_choices(blocks):
    for block in blocks:
        made = {key: block.config[key] for key in CHOICES if key in block.config}
        if made != {key: CHOICES[key] for key in made}:
            raise ValueError(f"The network must be made with {CHOICES}. {block.name} has {made}")


def _block_name(layer):
    """The name of a layer's residual block, as `conv2_block1`; empty if it is in none."""
    parts = layer.name.split("_")
    return "_".join(parts[:2]) if len(parts) > 2 and parts[1].startswith("block") else ""


def _pairs(block, name):
    layers = list(zip(block.convolutions, block.normalizations))
    numbered = [(f"{name}_{number}", *pair) for number, pair in enumerate(layers, 1)]
    if block.projection is not None:
        numbered.append((f"{name}_0", block.projection, block.projection_normalization))
    return [
        pair
        for start, conv, norm in numbered
        for pair in ((conv, f"{start}_conv"), (norm, f"{start}_bn"))
    ]
