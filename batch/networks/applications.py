"""Weights of the ResNets of `keras.applications` for ours."""

CHOICES = {"use_bias": True, "stride_first": True, "epsilon": 1.001e-5}


def take_weights(network, model):
    """Give a ResNet of ours the weights and statistics of one of `keras.applications`.

    The network must have been made with the choices of `keras.applications`, which are `CHOICES`:
    convolutions with biases, the stride in the first 1×1 convolution of a block, and its epsilon.
    Then it computes the same.

    Parameters
    ----------
    network : keras.Sequential
        As from `batch.networks.resnet.resnet` of depth 50, 101 or 152.
    model : keras.Model
        As from `keras.applications.ResNet50(weights=…)`. Without its top, our classifier keeps its
        own weights. With its top, its outputs are the softmax of our logits, unless it was made
        with `classifier_activation=None`. It expects images that went through
        `keras.applications.resnet.preprocess_input`, and so will the network: as float32, for it
        divides `uint8` by 255 instead.

    Raises
    ------
    ValueError
        If the two do not fit; the network then keeps its own weights.

    Examples
    --------
    ::

        model = ResNet50(config={**config, **CHOICES})  # for 1000 classes
        take_weights(model.network, keras.applications.ResNet50())
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
    for ours, name in pairs:
        given = [tuple(weight.shape) for weight in theirs[name].weights] if name in theirs else []
        expected = [tuple(weight.shape) for weight in ours.weights]
        if given != expected:
            raise ValueError(
                f"{ours.path} has weights of shapes {expected}, but {name} of {model.name} {given}."
            )
    for ours, name in pairs:
        ours.set_weights(theirs[name].get_weights())


def _check_choices(blocks):
    for block in blocks:
        made = {key: block.config[key] for key in CHOICES if key in block.config}
        if made != {key: CHOICES[key] for key in made}:
            raise ValueError(f"The network must be made with {CHOICES}. {block.name} has {made}")


def _block_name(layer):
    """`conv2_block1` of the layers of a residual block; nothing of others."""
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
