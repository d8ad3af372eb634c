"""What `resbatch bench` runs: each suite measures versions in turn, in one process."""

import importlib

import pandas as pd

from batch.runtime import set_threads
from research.environment import describe
from research.names import SUITES


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
    """
    machine = describe(set_threads(threads))
    keys = ("processor", "threads", "tensorflow", "keras", "batchflow")
    print(", ".join(f"{key} {machine[key]}" for key in keys), flush=True)
    for name in names or SUITES:
        suite = importlib.import_module(f"research.benchmarks.{name}")
        rows = suite.measure(repetitions, batch_size)
        print(f"\n{suite.__doc__.strip()}\n")
        print(pd.DataFrame(rows, columns=suite.COLUMNS).to_string(index=False), flush=True)
