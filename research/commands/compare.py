"""`resbatch compare`: every method on every seed, to a folder."""

import dataclasses
import importlib

from research import results
from research.cache_memory import settled
from research.commands.common import (
    environment_now,
    experiment_of,
    final_place,
    predicting,
    prepared,
    recorded,
    reported,
    settings_of,
)
from research.console import say


def compare(options):
    """`resbatch compare`: every method on every seed, to a folder."""
    with results.new_folder(options.out, "compare", options.overwrite) as folder:
        importlib.import_module("research.report")  # if matplotlib can't start, it is said now
        data, threads = prepared(options)
        from research.comparison import train_in_turns
        from research.prediction import fill_in_ratios

        base = experiment_of(options, data)
        named, costs, record = _chosen(options, base, data)
        base = dataclasses.replace(base, cache=next(iter(named.values())).cache)
        seeds = range(options.seeds)
        histories = train_in_turns(named, seeds, data)
        fill_in_ratios(record["predicted_ratio"], histories, named, costs, base, data)
        settings = settings_of(options, base, data, named, seeds)
        results.save(folder, histories, settings, environment_now(threads), **record)
        final = reported(folder, *results.read(folder))
    say(final)
    say(f"\nReport: {final_place(folder) / 'report.html'}")


def _chosen(options, base, data):
    """The experiments of a comparison and their costs by their labels, and what to record."""
    from research import prediction
    from research.comparison import of_methods
    from research.experiment import check
    from research.studies import load_study

    study = load_study(options.study) if options.study else None
    own = {name: getattr(options, name) for name in getattr(study, "OPTIONS", ())}
    named = study.experiments(base, **own) if study else of_methods(base, options.methods)
    for experiment in named.values():
        check(experiment, data)
    costs = prediction.costs(named, data)
    record = {"study": study.facts(named, costs)} if study else {}
    if options.equal_time:
        named = {label: prediction.equal_time(run, costs[label]) for label, run in named.items()}
    named = {label: prediction.own_length(run, costs[label]) for label, run in named.items()}
    named = settled(named)
    costs = predicting(options, named, costs, data)
    return named, costs, record | recorded(named, costs, base.iterations, data)
