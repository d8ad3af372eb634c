"""How networks are trained where the command line does not say: defaults, by network and study.

Plain values, so that the command line can read them without starting TensorFlow.
"""

from research import usage
from research.methods import FREEZEOUT, METHODS, USUAL
from research.methods.freezeout import PRESETS
from research.methods.options import SHARED, SPACING
from research.names import NOT_RESIDUAL

NOTEBOOK = {  # of the FreezeOut notebook; a rate or momentum of None is the method's own
    "iterations": 150,
    "batch_size": 300,
    "learning_rate": None,
    "momentum": None,
    "weight_decay": 0.0,
    "augment": False,
    "normalize": False,
    **{name: option.default_for(published=False) for name, option in SHARED.items()},
}
PUBLISHED = {  # Brock et al., FreezeOut, 2017, section 3, and the program published with it
    "epochs": 100,
    "batch_size": 50,
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "augment": True,
    "normalize": True,
    **{name: option.default_for(published=True) for name, option in SHARED.items()},
}
FINE_TUNING = {  # of a pre-trained base
    **NOTEBOOK,
    "epochs": 6,
    "batch_size": 50,
    "learning_rate": 0.002,
    "momentum": 0.9,
    "finetune_rate": None,
}
del FINE_TUNING["iterations"]
MODEL_OPTIONS = {  # of a network's config, on the command line
    "densenet": ("depth", "growth_rate", "bottleneck", "compression"),
    "wideresnet": ("depth", "widen_factor", "dropout", "block"),
    "vgg": ("depth",),
    "efficientnetlite0": ("dropout",),
}
NETWORK_OPTIONS = {name for names in MODEL_OPTIONS.values() for name in names}
WIDE = {  # Zagoruyko and Komodakis, Wide Residual Networks, 2016, section 3
    "data": "cifar10",
    "model": "wideresnet",
    "weight_decay": 5e-4,
    "milestones": (0.3, 0.6, 0.8),
    "gamma": 0.2,
}
STUDIES = {
    # DenseNet-BC on a part of CIFAR-10: 13 runs in 30 minutes on two cores.
    "freezeout": {
        "data": "cifar10",
        "model": "densenet",
        "depth": 40,
        "growth_rate": 12,
        "iterations": 600,
        "seeds": 1,
    },
    # The network, data and length of the paper: weeks on two cores.
    "freezeout-full": {
        "data": "cifar100",
        "model": "densenet",
        "depth": 76,
        "growth_rate": 12,
        "epochs": 100,
        "seeds": 3,
    },
    # Schedules that freeze, to find the one that saves most: 8 runs in 30 minutes a seed.
    "saving": {"data": "mnist", "epochs": 10, "seeds": 2},
    # FreezeOut and its baseline with both forms of momentum, over five seeds: 30 runs.
    "momentum": {"data": "mnist", "iterations": 300, "seeds": 5},
    # FreezeOut with fixed crops of each image, which the cache can keep, over five seeds: 30 runs.
    "views": {
        "data": "cifar10",
        "train_images": 1000,
        "epochs": 100,
        "batch_size": 50,
        "augment": True,
        "normalize": True,
        "seeds": 5,
    },
    # Leading blocks of a pre-trained base frozen for good, over five seeds: 50 runs.
    "frontier": {
        "data": "cifar10",
        "base": "efficientnet-lite0",
        "train_images": 2000,
        "test_images": 2000,
        "image_size": 96,
        "seeds": 5,
    },
    # Widths 1 to 4 and all types of blocks on a part of CIFAR-10: 27 runs in 40 minutes.
    "wide-resnet": {**WIDE, "depth": 16, "iterations": 300, "batch_size": 64, "seeds": 3},
    # Depths, length and seeds of the paper: months on two cores.
    "wide-resnet-full": {**WIDE, "depth": 28, "epochs": 200, "batch_size": 128, "seeds": 5},
}
OF_STUDY = {  # the methods of a study, by its module
    "freezeout": ("annealed", "freezeout"),
    "saving": ("annealed", "freezeout", "autofreeze"),
    "momentum": ("annealed", "freezeout"),
    "views": ("annealed", "freezeout"),
    "frontier": ("annealed", "freezeout"),
    "wide_resnet": ("classic",),
}
FIXED = {  # options that its runs differ in
    "freezeout": (*SPACING, "preset"),
    "saving": (*SPACING, "preset"),
    "momentum": ("how_scale", "preset", "optimizer"),
    "views": (*SPACING, "preset", "augment", "views"),
    "frontier": (*SPACING, "preset", "model"),
    "wide_resnet": ("model", "block", "widen_factor", "base"),
}
COMMON = {"data": "digits", "model": "resnet", "seeds": 3, "keep_checkpoints": 3}


def settle(options):
    """Fill in what the command line left open: from the study, then from the network's recipe.

    Parameters
    ----------
    options : argparse.Namespace
        What was not given is None; it is changed in place.

    Returns
    -------
    list of str
        What was filled in that may be unexpected, in sentences.

    Raises
    ------
    ValueError
        If options contradict each other, would do nothing, or are not those of the network.
    """
    usage.check_folders(options)
    if options.command == "bench":
        usage.check_suites(options)
    if options.command == "import":
        _settle_network(options)
    if options.command not in ("compare", "train"):
        return []
    usage.check_alone(options)
    usage.settle_engine(options)
    study = _of_study(options)
    if getattr(options, "study", None):
        usage.check_study(options, FIXED[study_module(options.study)])
    given, notes = usage.given_options(options), _notes(options)
    _settle_base(options, study)
    _apply_preset(options)
    _fill_in(options, study)
    _settle_network(options)
    usage.check_views(options)
    options.methods = _chosen(options) or _usual(options)
    usage.check_methods(options, given)
    usage.check_grid(options, given)
    return notes


def _of_study(options):
    """The settings of a study; several numbers of frozen blocks are one on data of one's own."""
    study = getattr(options, "study", None)
    compares = options.command == "compare" and not (study or options.methods)
    if compares and options.base and len(options.freeze_first or ()) > 1:
        options.study = "frontier"
        return {"base": options.base}
    return STUDIES.get(study, {})


def _settle_base(options, study):
    """Say of what base the network is, if of any, and how many blocks of it are frozen."""
    options.base = options.base or study.get("base")
    several = "base" in study
    usage.check_base(options, NETWORK_OPTIONS, several)
    given = options.freeze_first
    options.depths = given if several else None
    options.freeze_first = given[0] if given and not several else 0
    options.freeze = tuple(options.freeze or ())


def _settle_network(options):
    """Put the options of the network together; those of others are refused."""
    allowed = MODEL_OPTIONS.get(options.model, ())
    usage.check_network(options, NETWORK_OPTIONS, allowed)
    options.model_options = {
        name: getattr(options, name) for name in allowed if getattr(options, name) is not None
    }


def _fill_in(options, study):
    """Give what is None the value of the study or of the network's recipe."""
    model = options.model or (COMMON if options.base else {**COMMON, **study}).get("model")
    recipe = dict(PUBLISHED if model in MODEL_OPTIONS else NOTEBOOK)
    if options.base:
        recipe = dict(FINE_TUNING)
        study = {name: value for name, value in study.items() if name != "model"}
    if model != study.get("model"):  # another network than the study's, with its own size
        study = {name: value for name, value in study.items() if name not in NETWORK_OPTIONS}
    if "iterations" in study:
        recipe.pop("epochs", None)
    if options.optimizer:
        del recipe["momentum"]
    defaults = {**COMMON, **recipe, **study}
    if options.iterations or options.epochs:
        defaults = {key: defaults[key] for key in defaults if key not in ("iterations", "epochs")}
    for name, value in defaults.items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)


def _notes(options):
    """What a recipe fills in that may be unexpected."""
    notes = []
    if options.model in MODEL_OPTIONS and not (options.data or getattr(options, "study", None)):
        notes.append(
            f"Without --data, {options.model} trains on {COMMON['data']}, which need no network. "
            "Its other defaults are the paper's, for photographs as those of --data cifar10: "
            f"{PUBLISHED['epochs']} epochs of batches of {PUBLISHED['batch_size']}, crops, flips."
        )
    name = (options.optimizer or "SGD").partition(":")[0]
    if name.lower() != "sgd" and options.learning_rate is None:
        notes.append(
            f"Without --learning-rate, {name} has the rates that the methods have with SGD: it may "
            "need others."
        )
    return notes


def _apply_preset(options):
    """Give the schedule of freezeout the values that a preset stands for."""
    if not options.preset:
        return
    chosen = _chosen(options) or [FREEZEOUT]
    if not any(SPACING.keys() <= method.options.keys() for method in chosen):
        raise ValueError(
            f"--preset {options.preset} is for {FREEZEOUT.name}, not "
            f"{', '.join(method.name for method in chosen)}"
        )
    for name, value in PRESETS[options.preset].items():
        if getattr(options, name) is not None:
            raise ValueError(f"--preset {options.preset} says {usage.flag(name)}: give one of them")
        setattr(options, name, value)


def _chosen(options):
    """The methods that were asked for, by name or by a study; None if they are the usual ones."""
    if getattr(options, "study", None):
        return [METHODS[name] for name in OF_STUDY[study_module(options.study)]]
    return [options.method] if "method" in options else options.methods


def _usual(options):
    """The usual methods that the network can be trained by, and for as long as is asked for."""
    return [
        method
        for method in USUAL
        if not (method.drops_branches and (options.base or options.model in NOT_RESIDUAL))
        and not (method.iterations and getattr(options, "equal_time", False))
    ]


def study_module(study):
    """Name of the module in `research` that makes a study."""
    return study.removesuffix("-full").replace("-", "_")
