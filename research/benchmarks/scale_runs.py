"""Comparisons of a small network, one size of which grows, with what memory and start they take."""

import dataclasses
import importlib
import time

from batch.data.data import Data
from research.benchmarks.processes import megabytes
from research.benchmarks.small import SHAPE, random_examples
from research.experiments.experiment import Experiment
from research.running.callbacks import Callback
from research.running.comparison import compare

USUAL = {"images": 600, "iterations": 20, "blocks": 3, "seeds": 1}
FEWER = {"blocks": {"iterations": 2}, "seeds": {"iterations": 2}}  # where one of them takes long


class _First(Callback):
    """Notes when the first iteration of all runs is made."""

    def __init__(self):
        self.at = None

    def on_train_batch_end(self, run):
        """Note it once."""
        self.at = self.at or time.perf_counter()


def grown(what, size):
    """A function that makes a comparison of usual sizes but one.

    Parameters
    ----------
    what : str
        Of `USUAL`; blocks are the residual ones, a multiple of 3.
    size : int

    Returns
    -------
    callable
        It returns the megabytes that it took at most (`memory`), and the seconds until the first
        iteration was made (`start-up`), in a dict.
    """
    importlib.import_module("research.running.turns")  # all that trains: it is no part of the start
    sizes = {**USUAL, **FEWER.get(what, {}), what: size}
    experiment = _experiment(sizes["iterations"], sizes["blocks"])

    def run():
        before, start, first = megabytes("VmRSS"), time.perf_counter(), _First()
        examples = random_examples(sizes["images"], SHAPE if what == "images" else (8, 8, 1))
        data = Data.of(*examples, *(part[:20] for part in examples), name="random")
        compare({"it": experiment}, range(sizes["seeds"]), data, True, lambda label, seed: [first])
        return {"memory": megabytes("VmHWM") - before, "start-up": first.at - start}

    return run


def _experiment(iterations, blocks):
    """FreezeOut on a Wide ResNet, which has a third of its blocks in each group."""
    usual = Experiment(method="freezeout", model="wideresnet", batch_size=20)
    options = {"depth": 2 * blocks + 4, "widen_factor": 1}
    return dataclasses.replace(usual, iterations=iterations, model_options=options)
