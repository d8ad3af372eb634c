"""How memory and start-up time grow with images, iterations, blocks and seeds, by 10 and 100 times.

Each size is run in a process of its own. Memory is what it takes at most beyond what was imported;
start-up is until the first iteration is made. Beside what proportion would give; the note has the
exponent from one size to the next, which is 1 in proportion, and less than that below it.
"""

import functools
import itertools
import math

import numpy as np
from tqdm import tqdm

from batch.runtime import set_threads
from research.benchmarks.harness import Part, compared
from research.benchmarks.processes import Process, environment

SIZES = {  # what grows: its first size, and seconds that the largest takes
    "images": (600, 10),
    "iterations": (100, 60),
    "blocks": (3, 160),
    "seeds": (1, 90),
}
SECONDS = 7  # of each smaller one
TIMES = (1, 10, 100)
RUN = "research.benchmarks.scale_runs:grown"


def parts(quick=False):
    """What grows; quick, images alone, by ten times alone."""
    if quick:
        rows = functools.partial(_rows, "images", SIZES["images"][0], TIMES[:2])
        return [Part("images", rows, 2 * SECONDS, 0, most=1)]
    return [
        Part(name, functools.partial(_rows, name, first, TIMES), 2 * SECONDS + largest, 0, most=1)
        for name, (first, largest) in SIZES.items()
    ]


def _rows(name, first, times, *_):
    sizes, around, made = [first * factor for factor in times], environment(set_threads()), {}
    for size in tqdm(sizes, leave=False, unit="process"):
        with Process(RUN, {"what": name, "size": size}, around) as run:
            made[size] = run()
    for small, large in itertools.pairwise(sizes):
        for measure, unit in (("memory", "MB"), ("start-up", "s")):
            ours, theirs = made[large][measure], made[small][measure]
            exponent = math.log(ours / theirs, large / small)
            yield compared(
                *(f"{large:,} {name}: {measure}", np.array([ours])),
                *(f"{small:,} {name}", np.array([theirs])),
                *(large / small, f"exponent {exponent:.2f}", unit),
            )
