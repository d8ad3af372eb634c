"""Pre-trained networks to fine-tune, by name or from a file, cut into blocks."""

import dataclasses
import functools
import hashlib
import pathlib
import re

from batch.checks import received
from batch.spelling import did_you_mean
from research.names import APPLICATIONS, BASES, BASES_IN_WORDS

WRITTEN = "resbatch train, resbatch import, TFModel.save or Keras"  # what writes such files


@dataclasses.dataclass(frozen=True)
class Base:
    """A pre-trained network.

    Attributes
    ----------
    layers : list of keras.layers.Layer
        Its blocks, which all have weights, and last its classifier.
    channels : int
        Of its images.
    normalize : dict or None
        The mean and deviation of each channel that its images had; None if that is not known.
    """

    layers: list
    channels: int
    normalize: dict | None = None


def config(experiment):
    """What the base of an experiment adds to its model's config.

    All blocks run in inference mode, with the statistics of the base, whether they learn or not.
    """
    base = load(experiment.base)
    names = [re.escape(layer.name) for layer in base.layers[:-1]]
    named = map(re.escape, _named(base.layers[:-1], experiment.freeze))
    frozen = sorted({*names[: experiment.freeze_first], *named})
    return {
        "base": base.layers,
        "inference_mode": names,
        **({"freeze": frozen} if frozen else {}),
        **({"normalize": base.normalize} if base.normalize else {}),
    }


def learning(experiment):
    """A bool for each block of its base and, last, the classifier: False if it never learns."""
    from batch.networks.freeze_by_name import layer_names

    *blocks, _ = load(experiment.base).layers
    named = _named(blocks, experiment.freeze)
    stays = [
        number < experiment.freeze_first
        or block.name in named
        or (bool(layer_names(block)) and layer_names(block).keys() <= named)
        for number, block in enumerate(blocks)
    ]
    return [not stay for stay in stays] + [True]


def _named(blocks, patterns):
    """Names of the blocks, and of layers in them, that patterns match."""
    from batch.networks.freeze_by_name import layer_names, matching

    return matching(
        patterns, [name for block in blocks for name in (block.name, *layer_names(block))]
    )


def count_blocks(base):
    """The number of its blocks, the classifier apart."""
    return len(load(base).layers) - 1


def title(base):
    """What it is called: its name, or that of its file."""
    return base if base in BASES else pathlib.Path(base).stem


def digest(base):
    """The SHA-256 of its file; None for one that has a name.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    if base in BASES:
        return None
    try:
        return hashlib.sha256(pathlib.Path(base).expanduser().read_bytes()).hexdigest()
    except OSError:
        raise ValueError(
            f"base must be {BASES_IN_WORDS}, or a file that {WRITTEN} wrote. {received(base)}"
            f"{did_you_mean(base, BASES)}"
        ) from None


def load(base):
    """The `Base` of a name or a file, which is read once.

    Raises
    ------
    ValueError
        If there is no such file, or if it has no network of blocks.
    ImportError
        If the weights are in a package that is not installed.
    """
    return _load(base, digest(base))


@functools.lru_cache(maxsize=2)
def _load(base, _):
    if base in APPLICATIONS:
        from batch.networks.applications import application

        layers, normalize = application(base)
        return Base(_joined(layers), 3, normalize)
    if base in BASES:
        return _efficientnet_lite0()
    from batch.models.model_file import read_model
    from batch.models.network import is_model_file, read_layers

    path = str(pathlib.Path(base).expanduser())
    if is_model_file(path):
        network, saved, *_ = read_model(path)
        layers, normalize = network.layers, saved.get("normalize")
    else:
        layers, normalize = read_layers(path, "base"), None
    if not any(layer.weights for layer in layers[:-1]):
        raise ValueError(f"base must have blocks with weights. {received(base)}")
    return Base(_joined(layers), layers[0].input.shape[-1], normalize)


def _efficientnet_lite0():
    from batch.networks.efficientnet import IMAGENET, efficientnet_lite0
    from batch.networks.from_torch import from_torch, imagenet_weights

    network = efficientnet_lite0((None, None, 3), 1000, dropout=0.0)
    from_torch(imagenet_weights(network), network)
    return Base(network.layers, 3, IMAGENET)


def _joined(layers):
    """Blocks with weights, and the classifier: layers without weights join the block before them.

    The first ones join the block after them.
    """
    import keras

    *layers, classifier = layers
    blocks = []
    for layer in layers:
        if blocks and not (layer.weights and any(part.weights for part in blocks[-1])):
            blocks[-1].append(layer)
        else:
            blocks.append([layer])
    named = [next(part.name for part in parts if part.weights) for parts in blocks]
    joined = [
        parts[0] if len(parts) == 1 else keras.Sequential(parts, name=name)
        for name, parts in zip(named, blocks)
    ]
    return [*joined, classifier]


def check(experiment):
    """Refuse what does not go with a base, and what needs one, before the base is read."""
    if not experiment.base:
        for name in ("freeze_first", "freeze"):
            if getattr(experiment, name):
                raise ValueError(
                    f"{name} needs a base: blocks with random weights would never learn. "
                    f"{received(getattr(experiment, name))}"
                )
        return
    if experiment.model != "resnet" or experiment.model_options:
        given = experiment.model_options or experiment.model
        raise ValueError(
            f"base brings its network: give no model or model_options. {received(given)}"
        )
    if experiment.trained_by.drops_branches:
        raise ValueError(
            f"base runs its blocks in inference mode: nothing for {experiment.label} to drop. "
            f"{received(experiment.base)}"
        )


def check_data(experiment, data):
    """Refuse a base that does not fit the data, or the rest of its experiment."""
    base, name = load(experiment.base), title(experiment.base)
    blocks = len(base.layers) - 1
    if experiment.freeze_first > blocks:
        raise ValueError(
            f"freeze_first must be at most the {blocks} blocks of {name}. "
            f"{received(experiment.freeze_first)}"
        )
    _named(base.layers[:-1], experiment.freeze)
    if experiment.normalize and base.normalize:
        raise ValueError(f"normalize must be False: {name} has means and deviations of its own.")
    if base.channels != data.train.images.shape[-1]:
        raise ValueError(
            f"{name} takes images of {base.channels} channels. "
            f"{received(data.train.images.shape[-1])} in {data.name}"
        )
