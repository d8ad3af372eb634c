"""How networks are trained where the command line does not say: defaults, by network and study.

Plain values, so that the command line can read them without starting TensorFlow.
"""

import pathlib

from research.methods import FREEZEOUT, USUAL, users
from research.methods.freezeout import PRESETS
from research.methods.options import SHARED, SPACING, STEPS
from research.names import NOT_RESIDUAL, PARTIAL

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
MODEL_OPTIONS = {  # of a network's config, on the command line
    "densenet": ("depth", "growth_rate", "bottleneck", "compression"),
    "wideresnet": ("depth", "widen_factor", "dropout", "block"),
    "vgg": ("depth",),
    "efficientnetlite0": ("dropout",),
}
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
    # Widths 1 to 4 and all types of blocks on a part of CIFAR-10: 27 runs in 40 minutes.
    "wide-resnet": {**WIDE, "depth": 16, "iterations": 300, "batch_size": 64, "seeds": 3},
    # Depths, length and seeds of the paper: months on two cores.
    "wide-resnet-full": {**WIDE, "depth": 28, "epochs": 200, "batch_size": 128, "seeds": 5},
}
OF_SCHEDULES = (*SPACING, "preset", *STEPS)
FIXED = {  # options that a study's runs differ in, by its module
    "freezeout": (*OF_SCHEDULES, "freeze_every"),
    "saving": OF_SCHEDULES,
    "wide_resnet": ("model", "block", "widen_factor", "freeze_every"),
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
        If options contradict each other, or one is not one of the network's.
    """
    _refuse_with_study(options)
    _apply_preset(options)
    _refuse_folders(options)
    study = STUDIES.get(getattr(options, "study", None), {})
    model = options.model or study.get("model", COMMON["model"])
    recipe = dict(PUBLISHED if model in MODEL_OPTIONS else NOTEBOOK)
    known = {name for names in MODEL_OPTIONS.values() for name in names}
    if model != study.get("model"):  # another network than the study's, with its own size
        study = {name: value for name, value in study.items() if name not in known}
    if "iterations" in study:
        recipe.pop("epochs", None)
    defaults = {**COMMON, **recipe, **study}
    given = [name for name in SHARED if getattr(options, name, None) is not None]
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
    if isinstance(options.depth, str) and options.model != "vgg":
        raise ValueError(f"--depth of {options.model} must be a number, not {options.depth!r}")
    _settle_methods(options)
    if not getattr(options, "study", None):
        _refuse_unread(options, given)
    if "gamma" in given and not options.milestones:
        raise ValueError("--gamma needs --milestones, at which to multiply the rate by it")
    options.model_options = {
        name: getattr(options, name) for name in allowed if getattr(options, name) is not None
    }


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
            raise ValueError(f"--preset {options.preset} says {_flag(name)}: give one of them")
        setattr(options, name, value)


def _chosen(options):
    """The methods that were asked for; None if they are the usual ones."""
    return [options.method] if "method" in options else options.methods


def _settle_methods(options):
    """The usual methods that the network can be trained by, where none were asked for."""
    residual = options.model not in NOT_RESIDUAL
    equal = [flag for flag in ("equal_time", "const_time") if getattr(options, flag, False)]
    usual = [
        method
        for method in USUAL
        if (residual or not method.drops_branches) and not (equal and method.iterations)
    ]
    options.methods = _chosen(options) or usual
    dropping = [method.name for method in options.methods if method.drops_branches]
    if dropping and not residual:
        raise ValueError(f"--model {options.model} has no residual branches: nothing {dropping[0]}")
    for flag in equal:
        _refuse_equal_time(options.methods, _flag(flag))


def _refuse_equal_time(methods, flag):
    """Refuse a run as long as classic's where nobody knows how long, or the method says so."""
    for method in methods:
        if method.adapts:
            raise ValueError(
                f"{flag} needs a saving that is known before the run: not {method.name}"
            )
        if method.iterations:
            raise ValueError(
                f"{flag} says for how many iterations each method trains, and so does "
                f"{method.name}: leave one of them out"
            )


def _refuse_unread(options, given):
    """Refuse options that none of the methods reads, where that must be a mistake."""
    for name in given:
        option = SHARED[name]
        if option.refused and not any(name in method.options for method in options.methods):
            raise ValueError(f"{_flag(name)} is for {' and '.join(users(name))}: {option.refused}")


def _refuse_with_study(options):
    if getattr(options, "study", None) is None:
        return
    fixed = FIXED[study_module(options.study)]
    given = [name for name in fixed if getattr(options, name) is not None]
    given += ["equal_time"] * options.equal_time
    if given:
        raise ValueError(f"--study {options.study} has runs of its own: no {_flag(given[0])}")


def _refuse_folders(options):
    """Refuse options of `train` about folders that contradict each other."""
    if getattr(options, "resume", False):
        if not options.out:
            raise ValueError("--resume needs --out: the folder of the run that was interrupted")
        if options.overwrite:
            raise ValueError("--resume goes on with what --overwrite would replace: give one")
    if getattr(options, "tensorboard", None) and options.out:
        out, events = (pathlib.Path(path).resolve() for path in (options.out, options.tensorboard))
        if {out, out.with_name(f"{out.name}{PARTIAL}")} & {events, *events.parents}:
            raise ValueError("--tensorboard must lie outside --out, which appears when all is done")


def study_module(study):
    """Name of the module in `research` that makes a study."""
    return study.removesuffix("-full").replace("-", "_")


def _flag(name):
    return "--" + name.replace("_", "-")
