"""Configs in the words of BatchFlow's Torch models: in ours, or refused by name."""

import re

import numpy as np
import tensorflow as tf

from batch.checks import check_keys, true_or_false

KEYS = (
    *("classes", "inputs_shapes", "input_shapes", "microbatch", "device", "amp"),
    *("body", "head", "se_block", "attention"),
)
RATIO = "body/blocks/self_attention/ratio"
OPTIONS = {  # of networks
    "body/num_blocks": "num_blocks",
    "body/blocks/n_reps": "num_blocks",
    "body/filters": "filters",
    "body/blocks/channels": "filters",
    RATIO: "se_ratio",
    "head/hidden": "hidden",
}
ATTENTION = (
    *("se_block", "attention", "body/se_block", "body/attention"),
    *("body/block/se_block", "body/blocks/se", "body/blocks/attention"),
)
CLASSES = ("classes", "head/classes", "head/units", "head/features")
SHAPES = ("inputs_shapes", "input_shapes")
LOSSES = {
    **dict.fromkeys(("ce", "crossentropy", "logloss"), "softmax_cross_entropy"),
    **dict.fromkeys(("l1", "absolutedifference"), "mean_absolute_error"),
    "bce": "binary_crossentropy",
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
    words = _hidden(_flat({key: config[key] for key in KEYS if key in config}))
    words = _attention(words)
    config = {key: value for key, value in config.items() if key not in KEYS}
    _refuse(words, model)
    for word, option in OPTIONS.items():
        if word in words:
            _set(config, option, words[word], word)
    classes, shape = _classes(words), _shape(words)
    if classes is not None or shape is not None:
        config["inputs"] = _inputs(config.get("inputs"), shape, classes)
    if "microbatch" in words:
        _set(config, "microbatch_size", words["microbatch"], "microbatch")
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
    return {**config, "inputs": _inputs(config.get("inputs"), shape, None)}


def _flat(words, path=""):
    """The words with their paths, `body/num_blocks`; those with the value None are left out."""
    flat = {}
    for key, value in words.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{path}{key}/"))
        elif value is not None:
            flat[f"{path}{key}"] = value
    return flat


def _refuse(words, model):
    """Refuse words that no network here, or not this one, can follow."""
    known = {*KEYS, *OPTIONS, *CLASSES} - {"body", "head"}
    check_keys(words, known, model.__name__)
    for word, option in OPTIONS.items():
        if word in words and option not in model.options():
            raise ValueError(
                f"{word} stands for the option {option!r}, which {model.__name__} does not have. "
                f"Its options: {', '.join(model.options()) or 'none'}"
            )


def _set(config, key, value, word):
    if key in config and config[key] != value:
        raise ValueError(
            f"Give {word!r} or {key!r}, not both. Received: {value!r} and {config[key]!r}"
        )
    config[key] = value


def _hidden(words):
    """The words with lists of units split: the last are the classes, the others `head/hidden`."""
    split = dict(words)
    for word in CLASSES:
        units = split.get(word)
        names = word == "classes" and np.size(units) > 1
        if isinstance(units, (list, tuple)) and units and not names:
            split[word] = units[-1]
            if units[:-1]:
                split["head/hidden"] = list(units[:-1])
    return split


def _attention(words):
    """The words with those for squeeze and excitation as its ratio, 16 if they do not say it."""
    given = {word: words[word] for word in ATTENTION if words.get(word) not in (None, False)}
    words = {word: value for word, value in words.items() if word not in ATTENTION}
    for word, value in given.items():
        number = isinstance(value, int) and value is not True
        if not number and value not in (True, "se"):
            raise ValueError(
                f"{word} must be 'se', squeeze and excitation, or its ratio. Received: {value!r}"
            )
        words.setdefault(RATIO, value if number else 16)
    if not given:
        words.pop(RATIO, None)
    return words


def _classes(words):
    given = {word: words[word] for word in CLASSES if word in words}
    if len({repr(value) for value in given.values()}) > 1:
        raise ValueError(f"These must be one number of classes. Received: {given}")
    return next(iter(given.values()), None)


def _shape(words):
    """The shape of the images, from `(H, W, C)` or a sequence of one such shape."""
    for word in SHAPES:
        if word in words:
            shape = words[word]
            nested = isinstance(shape, (list, tuple)) and len(shape) == 1
            return shape[0] if nested and isinstance(shape[0], (list, tuple)) else shape
    return None


def _inputs(inputs, shape, classes):
    """The `inputs` of a config, with a shape and classes that it lacks."""
    inputs = dict(inputs or {})
    for name, key, value in (("images", "shape", shape), ("labels", "classes", classes)):
        if value is not None:
            entries = [entry for entry in inputs.values() if isinstance(entry, dict)]
            present = [entry[key] for entry in entries if key in entry]
            if present and present != [value]:
                raise ValueError(
                    f"Give the {key} once. Received: {value!r}, and 'inputs' has {present}"
                )
            if not present:
                inputs[name] = {**inputs.get(name, {}), key: value}
    return inputs


def _check_device(device):
    """Refuse another device than the one on which TensorFlow runs what we compute."""
    runs = "gpu:0" if tf.config.list_physical_devices("GPU") else "cpu:0"
    devices = device if isinstance(device, (list, tuple)) else [device]
    names = [re.sub(r"^/?(device:)?", "", str(name).lower()) for name in devices]
    names = [name.replace("cuda", "gpu") for name in names]
    if names not in ([runs], [runs[:3]]):
        raise ValueError(
            f"device must be {runs}, where TensorFlow computes here (CUDA_VISIBLE_DEVICES decides "
            f"which GPUs it sees). Received: {device!r}"
        )


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
