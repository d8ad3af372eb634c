"""Configs in the words of BatchFlow's Torch models: in ours, or refused by name."""

import re

import numpy as np
import tensorflow as tf

from batch.checks import check_keys, instance, positive_whole, received, sequence, true_or_false
from batch.models.inputs import class_count
from batch.networks.arguments import channels
from batch.training.microbatches import part_size

KEYS = (
    *("classes", "inputs_shapes", "input_shapes", "microbatch", "device", "amp"),
    *("body", "head", "se_block", "attention"),
)
RATIO = "body/blocks/self_attention/ratio"
ATTENTION = (
    *("se_block", "attention", "body/se_block", "body/attention"),
    *("body/block/se_block", "body/blocks/se", "body/blocks/attention"),
)
OPTIONS = {  # of networks
    "body/num_blocks": "num_blocks",
    "body/blocks/n_reps": "num_blocks",
    "body/filters": "filters",
    "body/blocks/channels": "filters",
    **dict.fromkeys((*ATTENTION, RATIO), "se_ratio"),
    "head/hidden": "hidden",
}
CLASSES = ("classes", "head/classes", "head/units", "head/features")
SHAPES = ("inputs_shapes", "input_shapes")
WORDS = {*KEYS, *OPTIONS, *CLASSES} - {"body", "head"}
LOSSES = {
    **dict.fromkeys(("ce", "crossentropy", "crossentropyloss", "logloss"), "softmax_cross_entropy"),
    **dict.fromkeys(("l1", "l1loss", "absolutedifference"), "mean_absolute_error"),
    **dict.fromkeys(("bce", "bcewithlogitsloss"), "binary_crossentropy"),
    "mseloss": "mean_squared_error",
}


def in_our_words(config, model):
    """A model's config with the words of BatchFlow's Torch models replaced by ours.

    Parameters
    ----------
    config : dict
        From `read_config`.
    model : type
        The class of the model.

    Raises
    ------
    ValueError
        If a word means nothing here, or says something else than the key that it stands for.
    """
    words = {key: config[key] for key in KEYS if config.get(key) is not None}
    for word in ("body", "head"):
        instance(word, words.get(word, {}), dict, "a dict")
    words = _without_attention(_hidden(_flat(words)))
    config = {key: value for key, value in config.items() if key not in KEYS}
    _refuse(words, model)
    words = _with_ratios(words)
    for word, option in OPTIONS.items():
        if word in words:
            _set(config, option, words[word], word)
    for word in (*SHAPES, *CLASSES):
        if word in words:
            value = (_shape if word in SHAPES else _classes)(word, words[word])
            config["inputs"] = _inputs(config.get("inputs"), word, value)
    if "microbatch" in words:
        size = part_size("microbatch", words["microbatch"])
        _set(config, "microbatch_size", size, "microbatch")
    if "amp" in words:
        precision = "bfloat16" if true_or_false("amp", words["amp"]) else "float32"
        if precision != config.get("precision", "float32"):
            _set(config, "precision", precision, "amp")
    if "device" in words:
        _check_device(words["device"])
    for key, read in (("loss", _loss), ("optimizer", _optimizer)):
        if key in config:
            config[key] = read(config[key])
    return config


def waits_for_images(config):
    """Whether a model cannot be made before its first images tell their shape."""
    inputs = config.get("inputs")
    entries = list(inputs.values()) if isinstance(inputs, dict) else []
    known = {key for entry in entries if isinstance(entry, dict) for key in entry}
    return not config or ("classes" in known and "shape" not in known)


def with_shape(config, shape):
    """The config of a model that waits for images, with their shape."""
    return {**config, "inputs": _inputs(config.get("inputs"), "input_shapes", shape)}


def _flat(words, path=""):
    """The words with their paths, `body/num_blocks`; those with the value None are left out."""
    flat = {}
    for key, value in words.items():
        if isinstance(value, dict) and (value or f"{path}{key}" not in WORDS):
            flat.update(_flat(value, f"{path}{key}/"))
        elif value is not None:
            flat[f"{path}{key}"] = value
    return flat


def _refuse(words, model):
    """Refuse words that no network here, or not this one, can follow."""
    check_keys(words, WORDS, model.__name__)
    for word, option in OPTIONS.items():
        if word in words and option not in model.options():
            raise ValueError(
                f"{word} stands for the option {option!r}, which {model.__name__} does not have. "
                f"Its options: {', '.join(model.options()) or 'none'}. {received(words[word])}"
            )


def _set(config, key, value, word):
    if key in config and not np.array_equal(config[key], value):
        both = {word: value, key: config[key]}
        raise ValueError(f"Give {word!r} or {key!r}, not both. {received(both)}")
    config[key] = value


def _hidden(words):
    """The words with lists of units split: the last are the classes, the others `head/hidden`."""
    split = dict(words)
    for word in CLASSES:
        units = split.get(word)
        listed = isinstance(units, (list, tuple)) and units
        if listed and (word != "classes" or len(units) == 1):  # several classes are their names
            split[word] = units[-1]
            if units[:-1]:
                split["head/hidden"] = list(units[:-1])
    return split


def _without_attention(words):
    """The words without those that say that there is no attention, and without its ratio then."""
    off = [word for word in ATTENTION if words.get(word, True) is False]
    some = any(word in words for word in ATTENTION if word not in off)
    return {
        word: value for word, value in words.items() if word not in off and (some or word != RATIO)
    }


def _with_ratios(words):
    """The words with the ratio of squeeze and excitation in place of 'se' or True; 16 if none."""
    given = {word: words[word] for word in (*ATTENTION, RATIO) if word in words}
    ratios = {word: _ratio(word, value) for word, value in given.items()}
    usual = next(filter(None, ratios.values()), 16)
    return {**words, **{word: ratio or usual for word, ratio in ratios.items()}}


def _ratio(word, value):
    """A checked ratio; None if the value only says that there is attention."""
    if value is True or (isinstance(value, str) and value == "se"):
        return None
    try:
        return channels(word, value)
    except ValueError:
        expected = "'se', squeeze and excitation, or its ratio"
        raise ValueError(f"{word} must be {expected}. {received(value)}") from None


def _shape(word, shape):
    """The shape of the images, from `(H, W, C)` or a sequence of one such shape."""
    nested = isinstance(shape, (list, tuple)) and len(shape) == 1
    shape = shape[0] if nested and isinstance(shape[0], (list, tuple)) else shape
    sizes = [positive_whole(word, size) for size in sequence(word, shape, "sizes (H, W, C)")]
    if not 1 <= len(sizes) <= 3:
        raise ValueError(f"{word} must be the sizes (H, W, C). {received(shape)}")
    return tuple(sizes)


def _classes(word, classes):
    """A checked number of classes, or their names."""
    class_count(word, classes)
    return classes


def _inputs(inputs, word, value):
    """The `inputs` of a config, with the shape or the classes that a word says, if they lack it."""
    name, key = ("images", "shape") if word in SHAPES else ("labels", "classes")
    inputs = {} if inputs is None else inputs
    if not isinstance(inputs, dict) or not isinstance(inputs.get(name, {}), dict):
        return inputs  # refused by who reads them
    entries = [entry for entry in inputs.values() if isinstance(entry, dict)]
    for entry in entries:
        if key in entry and not np.array_equal(entry[key], value):
            both = {word: value, key: entry[key]}
            raise ValueError(f"Give the {key} once, by 'inputs' or {word}. {received(both)}")
    if any(key in entry for entry in entries):
        return inputs
    return {**inputs, name: {**inputs.get(name, {}), key: value}}


def _check_device(device):
    """Refuse another device than the one on which TensorFlow runs what we compute."""
    runs = "gpu:0" if tf.config.list_physical_devices("GPU") else "cpu:0"
    devices = device if isinstance(device, (list, tuple)) else [device]
    names = [_device_name(name) for name in devices]
    if names not in ([runs], [runs[:3]]):
        raise ValueError(
            f"device must be {runs}, where TensorFlow computes here (CUDA_VISIBLE_DEVICES decides "
            f"which GPUs it sees). {received(device)}"
        )


def _device_name(device):
    """A name as 'gpu:0', from a text or a device of PyTorch's; empty for anything else."""
    text = (
        str(device).lower() if isinstance(device, str) or type(device).__name__ == "device" else ""
    )
    return re.sub(r"^/?(device:)?", "", text).replace("cuda", "gpu")


def _loss(spec):
    """A loss by a name that Keras knows, with its arguments if there are any."""
    name, arguments = _pair(spec)
    if isinstance(name, str):
        name = LOSSES.get(re.sub("[-_ ]", "", name).lower(), name)
    return (name, arguments) if arguments else name


def _optimizer(spec):
    """An optimizer with Keras' word for the learning rate."""
    name, arguments = _pair(spec)
    if "lr" in arguments:
        _set(arguments, "learning_rate", arguments.pop("lr"), "lr")
    return (name, arguments) if arguments else name


def _pair(spec):
    """A name and arguments, from these or from a dict with a name; anything else has none."""
    if isinstance(spec, dict) and "name" in spec:
        return spec["name"], {key: value for key, value in spec.items() if key != "name"}
    pair = isinstance(spec, (list, tuple)) and len(spec) == 2 and isinstance(spec[1], dict)
    return (spec[0], dict(spec[1])) if pair else (spec, {})
