"""Memory of the small ResNet: what training it takes, and what models leave that were dropped.

Each version runs in a process of its own. The first rows have the most memory that a run of 20
steps takes beyond what was imported, and how much more each example and each residual block take.
The last row has what grows after the first ten of many models that are made, trained for a step and
dropped, one after the other, in one process.
"""

import importlib.util

import numpy as np
from tqdm import tqdm

from batch.runtime import set_threads
from research.benchmarks.harness import USUAL_BATCH, Part, compared
from research.benchmarks.processes import Process, environment

EXAMPLES, BLOCKS = (6000, 60000), (4, 16)
MODELS, FIRST = 60, 10
RUNS = 3  # of each version, at most
OURS = "ours"
VERSIONS = {  # its name in `memory_versions`, its environment, and what it needs
    OURS: ("ours", {"onednn": "1"}, "keras"),
    "stock Keras, fit": ("stock", {"onednn": "1"}, "keras"),
    "PyTorch, eager, channels_last": ("torch", {}, "torch"),
}


def parts(quick=False):
    """What a run takes, and what models leave; quick, what a run takes."""
    run = Part("run", _run_rows, 0, 180, most=1 if quick else RUNS)
    return [run] if quick else [run, Part("models", _model_rows, 0, 330, most=1)]


def _run_rows(repetitions, _):
    few, many = EXAMPLES
    some, more = BLOCKS
    runs = [_peaks(repetitions, *case) for case in ((few, some), (many, some), (few, more))]
    usual, larger, deeper = runs
    of_example = {name: 1024 * (larger[name] - usual[name]) / (many - few) for name in usual}
    of_block = {name: (deeper[name] - usual[name]) / (more - some) for name in usual}
    usual_run = f"{few:,} images, {some} residual blocks, batches of {USUAL_BATCH}"
    return [
        *_rows(usual_run, usual, "MB"),
        *_rows("an image more", of_example, "kB"),
        *_rows("a residual block more", of_block, "MB"),
    ]


def _model_rows(*_):
    left = _measured("left", 1, {"count": MODELS, "first": FIRST})
    return _rows(f"models {FIRST + 1} to {MODELS}, made, trained and dropped", left, "MB")


def _peaks(repetitions, examples, blocks):
    """Megabytes of each run of each version that can run here."""
    case = {"examples": examples, "blocks": blocks, "batch_size": USUAL_BATCH}
    return _measured("peak", repetitions, case)


def _measured(what, repetitions, case):
    """What a function in `memory_versions` returns for each version, shape (repetitions,)."""
    threads, made = set_threads(), {}
    turns = [(name, turn) for turn in range(repetitions) for name in VERSIONS]
    for name, _ in tqdm(turns, leave=False, unit="process"):
        version, settings, package = VERSIONS[name]
        if not importlib.util.find_spec(package):
            continue
        function = f"research.benchmarks.memory_versions:{what}"
        around = environment(threads, **settings)
        with Process(function, {"version": version, **case}, around) as run:
            made.setdefault(name, []).append(run())
    return {name: np.array(values) for name, values in made.items()}


def _rows(what, measured, unit):
    ours = measured[OURS]
    return [
        compared(what, ours, peer, measured.get(peer), unit=unit)
        for peer in VERSIONS
        if peer != OURS
    ]
