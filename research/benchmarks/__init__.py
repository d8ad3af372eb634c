"""What `resbatch bench` runs: each suite measures versions in turn, in one process."""

import importlib
import importlib.metadata
import pathlib

import pandas as pd

from batch.runtime import set_threads
from research.benchmarks.timing import COLUMNS
from research.environment import describe

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
    machine = _machine(set_threads(threads))
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    tables = {}
    for name in names:
        suite = importlib.import_module(f"research.benchmarks.{name}")
        tables[name] = pd.DataFrame(suite.measure(repetitions, batch_size), columns=COLUMNS)
        print(f"\n{name}: {suite.__doc__.strip()}\n")
        print(tables[name].to_string(index=False), flush=True)
        _write(tables, machine, pathlib.Path(folder))


def _machine(threads):
    found = {**describe(threads), "torch": "not installed"}
    if importlib.util.find_spec("torch"):
        found["torch"] = importlib.metadata.version("torch")
    return {name: found[name] for name in MACHINE}


def _write(tables, machine, folder):
    whole = pd.concat([table.assign(suite=name) for name, table in tables.items()])
    whole = whole[["suite", *COLUMNS]]
    whole.assign(**machine).to_csv(folder / "bench.csv", index=False)
    told = ", ".join(f"{name} {value}" for name, value in machine.items())
    lines = [f"Measured in turn on {told}.", "", *_markdown(whole)]
    (folder / "bench.md").write_text("\n".join(lines) + "\n")


def _markdown(table):
    rows = [table.columns, ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]
