"""Several methods on several seeds: same data, same start, same order."""

import dataclasses
import functools
from collections.abc import Mapping

from batch import checks
from batch.data.data import Data
from research import methods
from research.experiments.experiment import Experiment
from research.experiments.fields import MOST_SEED


def compare(named, seeds, data, quiet=False, callbacks=None):
    """Train every experiment on every seed.

    Within a seed they take turns of a few iterations, so that what else the machine does meets them
    all alike. A short run that is thrown away goes first: TensorFlow's first steps are nobody's
    disadvantage.

    Parameters
    ----------
    named : dict from str to Experiment
        By their labels, which are the methods of the histories. Where an experiment's method says
        for how many iterations it trains, as shorter does, that counts.
    seeds : sequence of int
    data : utils.Data
    quiet : bool
        No progress bar.
    callbacks : callable, optional
        From a label and a seed to callbacks of that run.

    Returns
    -------
    list of History
        Grouped by seed, in the order of the experiments; `research.verdicts.statistics.summarize`
        makes a table of them. Those of the first seed have `mistakes`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be, or an experiment does not fit the data.
    """
    from research.experiments.prediction import own_lengths

    named, seeds = _experiments(named), _seeds(seeds)
    checks.instance("data", data, Data, "Data, as from load_data")
    quiet = checks.true_or_false("quiet", quiet)
    checks.optional(checks.function, "callbacks", callbacks, "a function of label and seed")
    return train_in_turns(own_lengths(named, data), seeds, data, quiet, callbacks)


def _experiments(named):
    fits = isinstance(named, Mapping) and all(
        isinstance(label, str) and isinstance(experiment, Experiment)
        for label, experiment in named.items()
    )
    if not fits or not named:
        raise TypeError(
            f"named must be a dict of Experiments by their labels, not empty. "
            f"{checks.received(named)}"
        )
    return dict(named)


def _seeds(seeds):
    listed = checks.sequence("seeds", seeds, "whole numbers")
    if not listed:
        raise ValueError("seeds must be whole numbers, one at least. Received: none")
    return [checks.whole("seeds", seed, most=MOST_SEED) for seed in listed]


def train_in_turns(named, seeds, data, quiet=False, callbacks=None, store=None, every=None):
    """As `compare`, each experiment for as many iterations as it has.

    Parameters
    ----------
    named, seeds, data, quiet, callbacks
        As for `compare`.
    store : RunStore, optional
        What is in it is not made again, and what is made is kept there.
    every : int, optional
        Iterations from one checkpoint of a run to the next; about five minutes by default.
    """
    from research.experiments.cache_memory import settled
    from research.experiments.experiment import check, make_model
    from research.running.progress import Progress
    from research.running.turns import Turns, warm_up

    named = settled(named)
    for experiment in named.values():
        check(experiment, data)
        if experiment.optimizer is not None:
            make_model(experiment, data)  # an error now, where they don't go together
    total = len(seeds) * sum(experiment.iterations for experiment in named.values())
    made = sum(store.iterations(label, seed) for label in named for seed in seeds) if store else 0
    histories = []
    runs = len(seeds) * len(named)
    with Progress(total, made, quiet, data.summary(), runs) as progress:
        if made < total:
            warm_up(named, data)
            progress.restart()
        for seed in seeds:
            own = functools.partial(callbacks, seed=seed) if callbacks else None
            turns = Turns.of_seed(named, seed, data, progress, own, store, every)
            histories += turns.take(look=seed == seeds[0])
    return histories


def of_methods(base, chosen):
    """An experiment for each method, by its name; the base is what they have in common.

    Parameters
    ----------
    base : Experiment
    chosen : sequence of str or Method
    """
    return {
        methods.find(method).name: dataclasses.replace(base, method=method) for method in chosen
    }
