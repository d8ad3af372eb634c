"""A network for the weights of a PyTorch program: what the weights tell, and what must be given."""

import collections
import functools
import math
import re

from batch.networks.densenet import densenet
from batch.networks.efficientnet import efficientnet_lite0
from batch.networks.from_torch import move
from batch.networks.resnet import DEPTHS, resnet
from batch.networks.state_dict import modules, read_state_dict
from batch.networks.vgg import CHANNELS, CONFIGURATIONS, vgg
from batch.networks.vgg import DEPTHS as LETTERS
from batch.networks.wide_resnet import wide_resnet
from research.usage import flag

NETWORKS = {
    **{f"resnet{depth}": functools.partial(resnet, depth) for depth in DEPTHS},
    "wideresnet": functools.partial(wide_resnet, symmetric=True),
    **{"densenet": densenet, "vgg": vgg, "efficientnetlite0": efficientnet_lite0},
}
STEM = r"conv[01]|features\.(?:0|conv0)|_conv_stem"
DENSE = r"_?fc|classifier(?:\.(\d))?"


def import_network(path, model, options, classes=None, image_shape=None):
    """The network of a PyTorch program, with its weights.

    Parameters
    ----------
    path : path
        Of the weights, as `batch.networks.state_dict.read_state_dict` reads them.
    model : str
        Name of the network, one of `NETWORKS`.
    options : dict
        Those of the network that are given, by name. They must agree with the weights, as must the
        other arguments; what the weights tell need not be given.
    classes : int, optional
        Number of classes.
    image_shape : tuple of int
        (H, W) or (H, W, C). By default the network takes images of any size, if it can.

    Returns
    -------
    network : keras.Sequential
    lines : list of str
        What was understood.

    Raises
    ------
    ValueError
        If the weights are not those of such a network, or leave open what is not given.
    """
    arrays = modules(read_state_dict(path))
    inferred = _inferred(path, arrays)
    sizes = (*inferred.pop("sides"), inferred.pop("channels"))
    known = _agreeing(path, {"model": model, "classes": classes, **options}, inferred)
    shape = _image_shape(path, model, image_shape, sizes)
    options = {name: known[name] for name in known if name not in ("model", "classes")}
    network = NETWORKS[model](shape, known["classes"], **options)
    move(arrays, network)
    return network, _lines(model, options, network, arrays)


def _inferred(path, arrays):
    """What the weights tell; None stands for what they leave open."""
    for program in (_resnet, _wide_resnet, _densenet, _vgg, _efficientnet_lite0):
        inferred = program(arrays)
        if inferred:
            return {"sides": (None, None), **inferred, **_ends(path, arrays)}
    raise ValueError(
        f"{path} has the weights of no program that is known. Received: {len(arrays)} modules, as "
        f"{sorted(arrays)[:3]}"
    )


def _agreeing(path, given, inferred):
    """What is given and what the weights tell, which must not differ."""
    if given["model"] == "vgg" and given.get("depth") in LETTERS:
        given["depth"] = LETTERS[given["depth"]]
    known = {**inferred, **{name: value for name, value in given.items() if value is not None}}
    for name, value in known.items():
        if value is None:
            raise ValueError(f"{path} does not tell its {name}: give {flag(name)}")
        if inferred.get(name) not in (None, value):
            raise ValueError(
                f"{flag(name)} {value} does not fit {path}, which has {name} {inferred[name]}"
            )
    return known


def _image_shape(path, model, given, inferred):
    """Height, width and channels; None for sizes that may be any."""
    shape = (*given, inferred[2])[:3] if given else inferred
    if any(size not in (None, chosen) for chosen, size in zip(shape, inferred)):
        raise ValueError(
            f"--image-shape {_times(given)} does not fit {path}, which has {_times(inferred)}"
        )
    if model == "vgg" and None in shape:
        raise ValueError(f"{path} does not tell the size of its images: give --image-shape")
    return shape


def _lines(model, options, network, arrays):
    """What was understood, for the reader to compare."""
    named = "".join(f", {name} {value}" for name, value in options.items())
    parameters = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return [
        f"network: {model}{named}",
        f"images: {_times(network.input_shape[1:])}, {network.output_shape[-1]:,} classes",
        f"parameters: {parameters:,}; {sum(map(len, arrays.values())):,} tensors moved",
    ]


def _times(shape):
    return "×".join("any" if size is None else str(size) for size in shape)


def _ends(path, arrays):
    """Channels of the images and number of classes, by the first and the last layer."""
    first = list(_kernels(arrays, STEM).values())
    dense = list(_kernels(arrays, DENSE, 2).values())
    for kernels, layer in ((first, "first convolution"), (dense, "last dense layer")):
        if not kernels:
            raise ValueError(f"{path} has no kernel of the {layer}")
    return {"channels": first[0][1], "classes": dense[-1][0]}


def _resnet(arrays):
    """Torchvision's, by the number of blocks of each stage and of convolutions of a block."""
    kernels = _kernels(arrays, r"layer(\d{1,4})\.(\d{1,4})\.conv(\d)")
    blocks = sorted({place[:2] for place in kernels})
    stages = tuple(collections.Counter(stage for stage, _ in blocks).values())
    layout = (stages, max((place[2] for place in kernels), default=0))
    names = {layout: f"resnet{depth}" for depth, layout in DEPTHS.items()}
    return kernels and {"model": names.get(layout)}


def _wide_resnet(arrays):
    kernels = _kernels(arrays, r"(?:block|group)(\d)\.(?:layer\.|block)(\d{1,4})\.conv(\d)")
    if not kernels or _transitions(arrays):
        return None
    count, block = _first_stage(kernels)
    sizes = ",".join(str(kernel[2]) for kernel in block)
    widen_factor, rest = divmod(block[0][0], 16)
    return {
        "model": "wideresnet",
        "depth": 6 * count + 4,
        "widen_factor": None if rest else widen_factor,
        "block": f"B({sizes})",
    }


def _densenet(arrays):
    stage, layer = (
        r"(?:features\.)?(?:dense|block|denseblock)(\d)",
        r"(?:layer\.|denselayer)?(\d{1,4})",
    )
    kernels = _kernels(arrays, rf"{stage}\.{layer}\.conv(\d)")
    transitions = _transitions(arrays)
    if not kernels or not transitions:
        return None
    count, block = _first_stage(kernels)
    shares = (0.5, 1.0, *(round(kernel[0] / kernel[1], 2) for kernel in transitions))
    fitting = [
        share
        for share in shares
        if all(int(share * kernel[1]) == kernel[0] for kernel in transitions)
    ]
    return {
        "model": "densenet",
        "depth": (6 if len(block) == 2 else 3) * count + 4,
        "growth_rate": block[-1][0],
        "bottleneck": len(block) == 2,
        "compression": fitting[0] if fitting else None,
    }


def _vgg(arrays):
    convolutions = _kernels(arrays, r"features\.(\d{1,4})")
    if not convolutions:
        return None
    names = {sum(counts): name for name, counts in CONFIGURATIONS.items()}
    dense = list(_kernels(arrays, DENSE, 2).values())
    hidden = tuple(kernel[0] for kernel in dense[:-1])
    places, rest = divmod(dense[0][1], CHANNELS[-1]) if hidden else (0, 0)
    side = math.isqrt(places)
    square = hidden and side**2 == places and not rest  # the first takes the features of each place
    return {
        "model": "vgg",
        "depth": names.get(len(convolutions)),
        "batch_normalization": any(
            "running_mean" in module for name, module in arrays.items() if "features." in name
        ),
        "use_bias": "bias" in arrays.get("features.0", {}),
        "hidden": hidden,
        "sides": (32 * side, 32 * side) if square else (None, None),
    }


def _efficientnet_lite0(arrays):
    return {"model": "efficientnetlite0"} if "_conv_stem" in arrays else None


def _first_stage(kernels):
    """Number of blocks of the first stage, and the kernels of the first of them."""
    stage, block, _ = next(iter(kernels))
    count = len({place[1] for place in kernels if place[0] == stage})
    return count, [kernel for place, kernel in kernels.items() if place[:2] == (stage, block)]


def _transitions(arrays):
    """Shapes of the kernels between the stages of a DenseNet."""
    return list(_kernels(arrays, r"(?:features\.transition|trans)(\d)\.conv1?").values())


def _kernels(arrays, names, dimensions=4):
    """Shapes (out, in, …) of kernels by the numbers in their modules' names, in this order."""
    found = {
        tuple(int(number or 0) for number in match.groups()): module["weight"].shape
        for name, module in arrays.items()
        if (match := re.fullmatch(names, name))
        and "weight" in module
        and module["weight"].ndim == dimensions
        and module["weight"].size
    }
    return dict(sorted(found.items()))
