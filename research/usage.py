"""Options of the command line that contradict each other, or would do nothing: they are refused."""

import pathlib

from research.methods import users
from research.methods.options import SHARED, SPACING
from research.names import BASES, NOT_RESIDUAL, OWN_BATCH, PARTIAL


def check_folders(options):
    """Refuse options about folders that contradict each other, or have none to be about."""
    if options.command == "merge" and len(options.folders) < 2:
        raise ValueError("merge needs two folders or more")
    events = getattr(options, "tensorboard", None)
    if getattr(options, "overwrite", False) and not (options.out or events):
        raise ValueError("--overwrite needs --out: without it, the folder is a new one")
    if getattr(options, "resume", False):
        if not options.out:
            raise ValueError("--resume needs --out: the folder of the run that was interrupted")
        if options.overwrite:
            raise ValueError("--resume goes on with what --overwrite would replace: give one")
    if events and options.out:
        out, events = (pathlib.Path(path).resolve() for path in (options.out, events))
        if {out, out.with_name(f"{out.name}{PARTIAL}")} & {events, *events.parents}:
            raise ValueError("--tensorboard must lie outside --out, which appears when all is done")


def check_suites(options):
    """Refuse options that the suites of `bench` have no use for."""
    if options.quick and options.repetitions:
        raise ValueError("--quick has repetitions of its own: no --repetitions")
    if options.batch_size and options.suites and set(options.suites) <= set(OWN_BATCH):
        names = list(dict.fromkeys(options.suites))
        trains, its = ("trains", "its") if len(names) == 1 else ("train", "their")
        raise ValueError(f"--batch-size: {' and '.join(names)} {trains} by recipes of {its} own")


def check_alone(options):
    """Refuse options that do nothing without another one, or beside it."""
    if getattr(options, "keep_checkpoints", None) and not options.checkpoint_every:
        raise ValueError("--keep-checkpoints needs --checkpoint-every: else there are none to keep")
    if options.optimizer and options.momentum is not None:
        raise ValueError(
            "--momentum is for the methods' own optimizers: with --optimizer, give it there, as in "
            "--optimizer SGD:momentum=0.9"
        )


def settle_engine(options):
    """Refuse options of Ray where it is not asked for; fill in what it needs."""
    if getattr(options, "engine", "local") == "ray":
        if options.tensorboard:
            raise ValueError("--tensorboard writes here, where --engine ray does not train")
        options.threads = options.threads or options.cpus_per_run or 1
        options.cpus_per_run = options.cpus_per_run or options.threads
        return
    for name in ("address", "cpus_per_run"):
        if getattr(options, name, None) is not None:
            raise ValueError(f"{flag(name)} needs --engine ray")


def check_views(options):
    """Refuse views of images that are not augmented; call it when the recipe is filled in."""
    if options.views and not options.augment:
        raise ValueError("--views needs --augment: it says how many crops each image has")


def check_base(options, known, several):
    """Refuse what a base brings itself, and what is about a base where there is none.

    Parameters
    ----------
    options : argparse.Namespace
    known : collection of str
        Options that some network has.
    several : bool
        Whether several numbers of frozen blocks are compared.
    """
    depths = options.freeze_first
    for name in ("freeze_first", "freeze"):
        if getattr(options, name) and not options.base:
            raise ValueError(
                f"{flag(name)} needs --base: blocks with random weights would never learn"
            )
    if depths and len(depths) > 1 and not several:
        raise ValueError(
            f"--freeze-first must be one number, not {','.join(map(str, depths))}: several are for "
            "compare, without --methods"
        )
    if not options.base:
        return
    for name in ("model", *sorted(known)):
        if getattr(options, name) is not None:
            raise ValueError(f"--base {options.base} brings its network: no {flag(name)}")
    if options.base in BASES and options.normalize is not None:
        raise ValueError(
            f"--base {options.base} has means and deviations of its own: no --normalize, no "
            "--no-normalize"
        )


def check_grid(options, given):
    """Refuse a grid of what is said elsewhere, or what no method reads.

    Parameters
    ----------
    options : argparse.Namespace
        With its `methods`.
    given : list of str
        The options of methods that were given.
    """
    names = [name for name, _ in getattr(options, "grid", ())]
    if names and options.study:
        raise ValueError(f"--study {options.study} has runs of its own: no --grid")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--grid has {name} twice: give all of its values at once")
        if name in given or (options.preset and name in SPACING):
            other = flag(name if name in given else "preset")
            raise ValueError(f"--grid says {name}, and so does {other}: leave one of them out")
        if not any(name in method.options for method in options.methods):
            chosen = ", ".join(method.name for method in options.methods)
            raise ValueError(f"--grid: {name} is for {' and '.join(users(name))}, not {chosen}")
    if "gamma" in names and not options.milestones:
        raise ValueError("--grid: gamma needs --milestones, at which to multiply the rate by it")


def check_network(options, known, allowed):
    """Refuse options of other networks.

    Parameters
    ----------
    options : argparse.Namespace
    known, allowed : collection of str
        Options that some network has, and this one.
    """
    wrong = sorted(name for name in known - set(allowed) if getattr(options, name) is not None)
    if wrong:
        raise ValueError(
            f"--model {options.model} has no option {', '.join(map(flag, wrong))}; it has "
            f"{', '.join(map(flag, allowed)) or 'none'}"
        )
    if isinstance(options.depth, str) and options.model != "vgg":
        raise ValueError(f"--depth of {options.model} must be a number, not {options.depth!r}")


def check_study(options, fixed):
    """Refuse options that a study's runs differ in themselves."""
    given = [name for name in fixed if getattr(options, name) is not None]
    given += ["equal_time"] * options.equal_time
    if given:
        raise ValueError(f"--study {options.study} has runs of its own: no {flag(given[0])}")


def check_methods(options, given):
    """Refuse methods that can't be run so, and options that none of them reads.

    Parameters
    ----------
    options : argparse.Namespace
        With its `methods`.
    given : list of str
        The options of methods that were given.
    """
    dropping = [method.name for method in options.methods if method.drops_branches]
    if dropping and options.model in NOT_RESIDUAL:
        raise ValueError(f"--model {options.model} has no residual branches: nothing {dropping[0]}")
    if dropping and options.base:
        raise ValueError(
            f"--base {options.base} runs its blocks in inference mode: nothing for {dropping[0]} "
            "to drop"
        )
    if options.freeze_first or options.freeze:  # frozen for good, and cached by every method
        given = [name for name in given if name != "cache"]
    for name in ("equal_time", "const_time"):
        if getattr(options, name, False):
            _check_equal_time(options.methods, flag(name))
    for name in given:
        if not any(name in method.options for method in options.methods):
            names = ", ".join(method.name for method in options.methods)
            raise ValueError(f"{flag(name)} is for {' and '.join(users(name))}, not {names}")
    if "gamma" in given and not options.milestones:
        raise ValueError("--gamma needs --milestones, at which to multiply the rate by it")


def given_options(options):
    """Names of the options of methods that were given."""
    return [name for name in SHARED if getattr(options, name, None) is not None]


def flag(name):
    """An option as it is given."""
    return "--" + name.replace("_", "-")


def _check_equal_time(methods, option):
    """Refuse a run as long as classic's where nobody knows how long, or the method says so."""
    for method in methods:
        if method.adapts:
            raise ValueError(
                f"{option} needs a saving that is known before the run: not {method.name}"
            )
        if method.iterations:
            raise ValueError(
                f"{option} says for how many iterations each method trains, and so does "
                f"{method.name}: leave one of them out"
            )
