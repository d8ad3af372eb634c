"""What `resbatch bench` runs: each suite measures versions in turn, in one process."""

import importlib

import pandas as pd

from batch.runtime import set_threads
from research.environment import describe

SUITES = ("step", "freezeout")


def run_suites(names, repetitions, batch_size, threads):
    """Run suites and print a table of each.

    Parameters
    ----------
    names : sequence of str
        All suites if empty.
    repetitions : int
        How often each version is measured.
    batch_size : int
        Images in a step.
    threads : int or None
        As for `batch.runtime.set_threads`.

    Raises
    ------
    ValueError
        If there is no suite of that name.
    """
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        raise ValueError(f"No benchmark {', '.join(unknown)}: expected {', '.join(SUITES)}")
    machine = describe(set_threads(threads))
    keys = ("processor", "threads", "tensorflow", "keras", "batchflow")
    print(", ".join(f"{key} {machine[key]}" for key in keys), flush=True)
    for name in names or SUITES:
        suite = importlib.import_module(f"research.benchmarks.{name}")
        rows = suite.measure(repetitions, batch_size)
        print(f"\n{suite.__doc__.strip()}\n")
        print(pd.DataFrame(rows, columns=suite.COLUMNS).to_string(index=False), flush=True)
