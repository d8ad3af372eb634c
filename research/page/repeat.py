"""The command that makes the runs of a page again."""

import shlex
from typing import NamedTuple

from research.experiments.recipes import FIXED, study_module
from research.names import BASES
from research.options import add_run_options
from research.parser import Parser
from research.usage import flag

OTHERS = ("margin", "target", "equal_time", "const_time", "validate", "study", "grid")
SEPARATE = ("freeze",)  # options that take their values one after the other


class Repeat(NamedTuple):
    """A command, each option with its value a text, and what is to be known of it, in sentences."""

    parts: list
    notes: list

    @property
    def command(self):
        """The whole command, as a shell takes it."""
        return " ".join(self.parts)


def repeat_of(record):
    """How to make the runs again; None if no single command makes them.

    Parameters
    ----------
    record : dict
        As from `research.storage.results.read`.
    """
    settings, environment = record["settings"], record["environment"]
    if settings.get("command") not in ("compare", "train") or "matched" in settings:
        return None
    parts = [["resbatch", settings["command"]], *_runs(settings)]
    parts += [_words(name, settings[name]) for name in _known(settings)]
    if str(environment.get("threads")).isdecimal():  # of several machines, there may be several
        parts.append(["--threads", str(environment["threads"])])
    parts.append(["--out", "again"])
    return Repeat([*map(shlex.join, parts)], _notes(settings, environment))


def _runs(settings):
    """Which methods and which seeds."""
    seeds, methods = settings.get("seeds") or [0], settings.get("methods", [])
    if settings["command"] == "train":
        return [["--method", *methods], ["--seed", str(seeds[0])]]
    chosen = [] if "study" in settings else [["--methods", ",".join(methods)]]
    first = f"{seeds[0]}-" if _gapless(seeds) and seeds[0] else ""
    last = max(seeds) + (not first)
    return [*chosen, ["--seeds", f"{first}{last}"]]


def _gapless(seeds):
    return seeds == list(range(seeds[0], seeds[0] + len(seeds)))


def _known(settings):
    """Names of the settings that are options of the command line."""
    parser = Parser()
    add_run_options(parser)
    names = {name for name in settings if flag(name) in parser.options()} | {*OTHERS}
    if "study" in settings:
        names -= {*FIXED[study_module(settings["study"])]}
    if settings.get("base") in BASES:
        names.discard("normalize")
    if settings.get("freeze_iterations") == settings.get("iterations"):
        names.discard("freeze_iterations")  # it follows each method's own length
    return [name for name in settings if name in names]


def _words(name, value):
    """An option with its value, as words of a command."""
    if isinstance(value, bool):
        return [flag(name) if value else flag(f"no_{name}")]
    if isinstance(value, dict):
        axes = (f"{key}={','.join(map(_plain, values))}" for key, values in value.items())
        return [flag(name), *axes]
    if isinstance(value, list):
        values = list(map(str, value))
        return [flag(name), *(values if name in SEPARATE else [",".join(values)])]
    return [flag(name), str(value)]


def _plain(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _notes(settings, environment):
    version = environment.get("resbatch")
    notes = [
        f"With resbatch {version} and the versions above, on such a processor, this gives the same "
        "losses, bit for bit; the seconds are those of the machine."
        if version
        else "This makes the runs again."
    ]
    seeds = settings.get("seeds") or [0]
    if settings["command"] == "compare" and not _gapless(seeds):
        notes.append(f"It makes seeds 0 to {max(seeds)}; here are {', '.join(map(str, seeds))}.")
    return notes
