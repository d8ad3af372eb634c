"""Measuring versions in turn, so that what else the machine does meets them all alike."""

import importlib.metadata
import importlib.util
import pathlib
import time

import numpy as np
import pandas as pd
from tqdm import tqdm

from batch.files import replacing, write_text
from batch.runtime import set_threads
from research.console import say
from research.environment import describe

TURNS = 5  # whose quartiles say something
COLUMNS = ("what", "ours, s", "peer", "peer, s", "ratio", "spread", "expected", "note")


def compared(what, ours, peer, theirs, expected=None, note=""):
    """A row of the table: a version of ours beside a peer.

    Parameters
    ----------
    what, peer : str
    ours, theirs : ndarray, shape (repetitions,)
        Seconds, measured in turn; `theirs` is None where the peer is not installed.
    expected : float, optional
        The ratio to expect, where something tells.
    note : str

    Returns
    -------
    tuple of str
        As `COLUMNS`: medians, and the median of the ratio over the repetitions with its quartiles.
    """
    hoped = "" if expected is None else f"{expected:.3f}"
    if theirs is None:
        return what, f"{np.median(ours):.4g}", f"{peer}: not installed", "", "", "", hoped, note
    low, ratio, high = np.percentile(np.asarray(ours) / np.asarray(theirs), [25, 50, 75])
    spread = f"{low:.3f}–{high:.3f}" if len(ours) > 1 else ""
    return (
        *(what, f"{np.median(ours):.4g}", peer, f"{np.median(theirs):.4g}", f"{ratio:.3f}"),
        *(spread, hoped, note),
    )


def in_turn(versions, repetitions, warm_up=3):
    """Seconds that each version takes, measured A B C, A B C and so on.

    Parameters
    ----------
    versions : dict from str to callable
        Each call is one measurement.
    repetitions : int
        Measurements of each version.
    warm_up : int
        Calls of each version before, not counted.

    Returns
    -------
    dict from str to ndarray, shape (repetitions,)
        Seconds.
    """
    for _ in range(warm_up):
        for version in versions.values():
            version()
    seconds = {name: [] for name in versions}
    for _ in tqdm(range(repetitions), leave=False, unit="round"):
        for name, version in versions.items():
            seconds[name].append(timed(version))
    return {name: np.array(values) for name, values in seconds.items()}


def in_turns_of(steps, versions, repetitions):
    """Seconds a step of each version, which makes so many steps before it is another's turn.

    So the threads of one library meet another's seldom, and what a call costs is spread.

    Parameters
    ----------
    steps : int
    versions : dict from str to callable
        Each call is one step.
    repetitions : int
        Steps of each version, made in `TURNS` turns at least.
    """

    def turn(step):
        return lambda: [step() for _ in range(steps)]

    turns = {name: turn(step) for name, step in versions.items()}
    measured = in_turn(turns, max(repetitions // steps, TURNS), warm_up=1)
    return {name: seconds / steps for name, seconds in measured.items()}


def milliseconds(seconds):
    """Median and quartiles as text."""
    low, middle, high = np.percentile(1000 * np.asarray(seconds), [25, 50, 75])
    return f"{middle:.1f} ({low:.1f}–{high:.1f})"


def timed(version):
    """Seconds that a call takes."""
    start = time.perf_counter()
    version()
    return time.perf_counter() - start


MACHINE = ("processor", "threads", "bfloat16", "tensorflow", "keras", "batchflow", "torch")


def run_suites(names, repetitions, batch_size, threads, folder):
    """Run suites, print a table of each, and write one of all: `bench.csv` and `bench.md`.

    Parameters
    ----------
    names : sequence of str
        As in `research.names.SUITES`.
    repetitions : int
        How often each version is measured.
    batch_size : int
        Images in a step.
    threads : int or None
        As for `batch.runtime.set_threads`.
    folder : path
        Where the files are written, again after each suite.
    """
    threads = set_threads(threads)
    from batch.networks.keras_settings import check_defaults  # after the threads are set

    check_defaults()
    machine = _machine(threads)
    say(", ".join(f"{key} {value}" for key, value in machine.items()))
    tables = {}
    for name in names:
        suite = importlib.import_module(f"research.benchmarks.{name}")
        tables[name] = pd.DataFrame(suite.measure(repetitions, batch_size), columns=COLUMNS)
        say(f"\n{name}: {(suite.__doc__ or '').strip()}\n")  # none under python -OO
        say(tables[name].to_string(index=False))
        _write(tables, machine, pathlib.Path(folder))


def _machine(threads):
    entries = {**describe(threads), "torch": "not installed"}
    if importlib.util.find_spec("torch"):
        entries["torch"] = importlib.metadata.version("torch")
    return {name: entries[name] for name in MACHINE}


def _write(tables, machine, folder):
    whole = pd.concat([table.assign(suite=name) for name, table in tables.items()])
    whole = whole[["suite", *COLUMNS]]
    with replacing(folder / "bench.csv") as new:
        whole.assign(**machine).to_csv(new, index=False)
    values = ", ".join(f"{name} {value}" for name, value in machine.items())
    lines = [f"Measured in turn on {values}.", "", *_markdown(whole)]
    write_text(folder / "bench.md", "\n".join(lines) + "\n")


def _markdown(table):
    rows = [table.columns, ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]
