"""Whole runs: what FreezeOut and its cache save, and what they cost in accuracy.

Seconds of all iterations, compilation included, of runs that take turns, against the matched
baseline. The note has the mean accuracy on the whole test split, its difference to the baseline
with the 95 % interval, and, on MNIST, the time to 98.5 %. FreezeOut is the preset 'thrifty',
without and with a cache; the seeds are not those of the search.
"""

import dataclasses
import functools

import numpy as np

from batch.data.data import DataError, load_data
from batch.data.history import by_method
from batch.schedules.freezeout import iterations_of
from research.benchmarks.harness import Part, compared, not_measured
from research.experiments import prediction
from research.experiments.cache_memory import settled
from research.experiments.experiment import Experiment
from research.methods.freezeout import PRESETS
from research.running.callbacks import Callback
from research.running.comparison import compare
from research.verdicts.statistics import interval_text, paired_interval

SEEDS = range(10, 15)  # not those of the search; as many as repetitions, if these are fewer
BASELINE, GOAL, EVERY = "annealed", 0.985, 25
THRIFTY = {"method": "freezeout", **PRESETS["thrifty"]}
METHODS = {
    "classic": {"method": "classic"},
    BASELINE: {"method": "annealed"},
    "freezeout": {**THRIFTY, "cache": "off"},
    "freezeout cached": {**THRIFTY, "cache": "auto"},
}
RUNS = {  # what, for how many epochs, whether the time to the goal is taken; seconds of `Part`
    "MNIST, small ResNet": (Experiment(data="mnist", finetune_rate=None), 10, True, 15, 900),
    "CIFAR-10, WRN-16-2": (
        Experiment(
            data="cifar10",
            model="wideresnet",
            model_options={"depth": 16, "widen_factor": 2},
            batch_size=128,
            learning_rate=0.1,
            momentum=0.9,
            weight_decay=5e-4,
            finetune_rate=None,
            normalize=True,
        ),
        *(5, False, 10, 630),
    ),
}
QUICK = {
    "digits, small ResNet": (Experiment(finetune_rate=None), 12, False, 5, 30),
}


class Reaching(Callback):
    """Takes the seconds of training after which the test split's accuracy is at the goal."""

    def __init__(self):
        self.seconds = np.nan

    def on_train_batch_end(self, run):
        """Evaluate every so many iterations, until it is."""
        history, split = run.history, run.data.test
        if np.isnan(self.seconds) and len(history) % EVERY == 0:
            run.settle()
            accuracy = run.model.predict(split.images, split.labels, fetches="output_accuracy")
            if accuracy >= GOAL:
                self.seconds = sum(history.seconds)


def parts(quick=False):
    """Runs with each of the data; quick, one with digits, so short that it can only tell little."""
    most = 1 if quick else len(SEEDS)
    return [
        Part(name, functools.partial(_rows, run[:3], name), *run[3:], most=most)
        for name, run in (QUICK if quick else RUNS).items()
    ]


def _rows(run, name, repetitions, _):
    """The rows; the batch size is that of the run's recipe."""
    base, epochs, timed = run
    seeds = SEEDS[:repetitions]
    try:
        data = load_data(base.data)
    except DataError as error:
        return [not_measured(name, error)]
    length = iterations_of(epochs, len(data.train.labels), base.batch_size)
    named = {
        label: dataclasses.replace(base, iterations=length, **changes)
        for label, changes in METHODS.items()
    }
    reached = {}

    def callbacks(label, seed):
        if not timed:
            return []
        return [reached.setdefault(label, {}).setdefault(seed, Reaching())]

    named = settled(named)
    histories = compare(named, seeds, data, callbacks=callbacks)
    costs = prediction.costs(named, data)
    runs = by_method(histories)
    return [
        compared(
            f"{name}, {label}",
            _seconds(own),
            BASELINE,
            _seconds(runs[BASELINE]),
            prediction.predicted_ratio(named[label], costs[label], examples=len(data.train.labels)),
            _note(own, runs[BASELINE], reached.get(label)),
        )
        for label, own in runs.items()
    ]


def _seconds(runs):
    return np.array([sum(run.seconds) for run in runs])


def _note(runs, baseline, reached):
    """Accuracy, its difference to the baseline, seconds to the goal, and what was cached."""
    accuracies, usual = (
        np.array([100 * run.accuracy for run in some]) for some in (runs, baseline)
    )
    mean, low, high = paired_interval(accuracies - usual)
    parts = [f"{accuracies.mean():.2f} %"]
    if runs is not baseline and len(runs) > 1:
        parts.append(f"{mean:+.2f} points ({interval_text(low, high)})")
    if reached:
        seconds = [seed.seconds for seed in reached.values() if not np.isnan(seed.seconds)]
        share = f" in {len(seconds)} of {len(reached)}" if len(seconds) < len(reached) else ""
        after = f" after {np.median(seconds):.1f} s" if seconds else ""
        parts.append(f"{100 * GOAL:.1f} %{after}{share}")
    caches = [run.cache for run in runs if run.cache]
    if caches:
        hits = np.mean([cache["hits"] / cache["asked"] for cache in caches])
        most = max(cache["bytes"] for cache in caches)
        parts.append(f"{100 * hits:.0f} % found, {most / 1e9:.2f} GB")
    return ", ".join(parts)
