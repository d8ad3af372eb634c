"""Measuring versions in turn, so that what else the machine does meets them all alike."""

import time

import numpy as np
from tqdm import tqdm


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

    So the threads of one library meet another's seldom.
    """

    def turn(step):
        return lambda: [step() for _ in range(steps)]

    turns = {name: turn(step) for name, step in versions.items()}
    measured = in_turn(turns, repetitions, warm_up=1)
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
