"""How networks are trained where the command line does not say: defaults, by network and study.

Plain values, so that the command line can read them without starting TensorFlow.
"""

NOTEBOOK = {  # of the FreezeOut notebook; a rate or momentum of None is the method's own
    "iterations": 150,
    "batch_size": 300,
    "learning_rate": None,
    "momentum": None,
    "weight_decay": 0.0,
    "t_0": 0.6,
    "how_scale": "linear",
    "scale_lr": False,
    "finetune_rate": 1e-2,
    "augment": False,
    "normalize": False,
}
PUBLISHED = {  # Brock et al., FreezeOut, 2017, section 3, and the program published with it
    "epochs": 100,
    "batch_size": 50,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "t_0": 0.8,
    "how_scale": "cubic",
    "scale_lr": True,
    "finetune_rate": None,
    "augment": True,
    "normalize": True,
}
MODEL_OPTIONS = {  # that a network's config may have
    "densenet": ("depth", "growth_rate", "bottleneck", "compression"),
    "wideresnet": ("depth", "widen_factor", "dropout"),
    "vgg": ("depth",),
}
STUDIES = {
    # DenseNet-BC on a part of CIFAR-10: 13 runs in 40 minutes on two cores.
    "freezeout": {
        "data": "cifar10",
        "model": "densenet",
        "depth": 40,
        "growth_rate": 12,
        "iterations": 600,
        "seeds": 1,
    },
    # The network, data and length of the paper: days on two cores.
    "freezeout-full": {
        "data": "cifar100",
        "model": "densenet",
        "depth": 76,
        "growth_rate": 12,
        "epochs": 100,
        "seeds": 3,
    },
}
COMMON = {"data": "digits", "model": "resnet", "seeds": 3}


def settle(options):
    """Fill in what the command line left open: from the study, then from the network's recipe.

    Parameters
    ----------
    options : argparse.Namespace
        What was not given is None; it is changed in place.

    Raises
    ------
    ValueError
        If an option is not one of the network's.
    """
    study = STUDIES.get(getattr(options, "study", None), {})
    model = options.model or study.get("model", COMMON["model"])
    recipe = dict(PUBLISHED if model in MODEL_OPTIONS else NOTEBOOK)
    known = {name for names in MODEL_OPTIONS.values() for name in names}
    if model != study.get("model"):  # another network than the study's, with its own size
        study = {name: value for name, value in study.items() if name not in known}
    if "iterations" in study:
        recipe.pop("epochs", None)
    defaults = {**COMMON, **recipe, **study}
    if options.iterations or options.epochs:
        defaults = {key: defaults[key] for key in defaults if key not in ("iterations", "epochs")}
    for name, value in defaults.items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    allowed = MODEL_OPTIONS.get(options.model, ())
    wrong = sorted(name for name in known - set(allowed) if getattr(options, name) is not None)
    if wrong:
        raise ValueError(
            f"--model {options.model} has no option {', '.join(map(_flag, wrong))}; it has "
            f"{', '.join(map(_flag, allowed)) or 'none'}"
        )
    options.model_options = {
        name: getattr(options, name) for name in allowed if getattr(options, name) is not None
    }


def _flag(name):
    return "--" + name.replace("_", "-")
