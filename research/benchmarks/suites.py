"""Running suites: how long they will take, what is left to measure, and their tables.

A suite is a file here with a function `parts`, which gives its parts; `parts(quick=True)` gives the
cheapest, in which even few repetitions show something.
"""

import importlib.metadata
import importlib.util
import os
import time

from tqdm import tqdm

from batch.runtime import set_threads
from research.benchmarks.harness import timed
from research.benchmarks.record import Record
from research.console import say
from research.environment import describe

REPETITIONS, QUICK = 50, 3  # usual ones, and those of a first table
PRODUCT = 0.052  # seconds of `matrix_product` where the seconds of `Part` hold
MACHINE = ("processor", "threads", "bfloat16", "tensorflow", "keras", "batchflow")
PEERS = ("torch", "jax")


def run_suites(names, folder, repetitions, batch_size, threads=None, *, quick=False, resume=False):
    """Run suites; after each part, write the table of all: `bench.csv` and `bench.md`.

    Parameters
    ----------
    names : sequence of str
        As in `research.names.SUITES`.
    folder : path
    repetitions : int
        How often each version is measured.
    batch_size : int
        Images in a step.
    threads : int, optional
        As for `batch.runtime.set_threads`.
    quick : bool
        Only the parts for a first table.
    resume : bool
        Go on with what the folder holds, without measuring again what was measured.

    Raises
    ------
    research.storage.results.ResultsError
        If the folder holds what was measured with other options or on another machine.
    """
    machine = _machine(set_threads(threads))
    from batch.networks.keras_settings import check_defaults  # after the threads are set

    check_defaults()
    options = {"suites": " ".join(names), "repetitions": repetitions, "batch size": batch_size}
    options = {name: str(value) for name, value in (options | {"quick": quick}).items()}
    record = Record(folder, {**options, **machine}, machine, resume)
    say(", ".join(f"{key} {value}" for key, value in machine.items()))
    _Suites(names, quick, (repetitions, batch_size), record).run()


class _Suites:
    """The parts of suites that are not measured yet."""

    def __init__(self, names, quick, measured, record):
        self.modules = {
            name: importlib.import_module(f"research.benchmarks.{name}") for name in names
        }
        self.parts = {name: module.parts(quick) for name, module in self.modules.items()}
        self.measured, self.record = measured, record
        self.speed = None

    def run(self):
        """Measure what is left, suite by suite."""
        say(f"All of it: {self._length(self.parts)}.")
        for name, module in self.modules.items():
            say(f"\n{name}: {self._length([name])}. {(module.__doc__ or '').strip()}\n")
            for part in tqdm(self._left(name), leave=False, unit="part", desc=name):
                self._measure(name, part)
            say(self.record.table(name).to_string(index=False))

    def _left(self, name):
        return [part for part in self.parts[name] if not self.record.holds(name, part.name)]

    def _measure(self, name, part):
        start = time.perf_counter()
        rows = part.rows(*self.measured)
        seconds = time.perf_counter() - start
        self.record.add(name, part.name, rows, seconds, part.seconds(*self.measured))

    def _length(self, names):
        """How long what is left of suites should take, in words."""
        left = [part for name in names for part in self._left(name)]
        if not left:
            return "measured already"
        seconds = sum(part.seconds(*self.measured) for part in left) * self._slowness()
        return f"about {_words(seconds)}"

    def _slowness(self):
        """How much longer all takes here: as what was measured did, or as a large product does."""
        measured = self.record.slowness()
        if measured is None and self.speed is None:
            from research.benchmarks.step import matrix_product

            product = matrix_product()
            self.speed = min(timed(product) for _ in range(5)) / PRODUCT
        return self.speed if measured is None else measured


def _words(seconds):
    minutes = max(round(seconds / 60), 1)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def _machine(threads):
    entries = describe(threads)
    machine = {name: entries[name] for name in MACHINE}
    machine["TF_ENABLE_ONEDNN_OPTS"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "unset")
    for name in PEERS:
        machine[name] = "not installed"
        if importlib.util.find_spec(name):
            machine[name] = importlib.metadata.version(name)
    return machine
