"""`resbatch compare`: every method on every seed, to a folder."""

import contextlib
import dataclasses
import functools
import importlib

from research import grid
from research.commands import common
from research.commands.writing import Page, when_there_is_room
from research.console import say
from research.experiments.cache_memory import settled
from research.storage import folders, results
from research.storage.locks import only_writer


def compare(options):
    """`resbatch compare`: every method on every seed, to a folder."""
    if options.dry_run:
        _dry_run(options)
        return
    with (
        folders.new_folder(options.out, "compare", options.overwrite, options.resume) as place,
        only_writer(options.tensorboard) if options.tensorboard else contextlib.nullcontext(),
    ):
        place.needless = (folders.CHECKPOINTS,)
        importlib.import_module("research.page.report")  # if matplotlib can't start, it is said now
        data, threads = common.prepared(options)
        base = _with_cache_of(place, common.experiment_of(options, data))
        named, costs, record = _chosen(options, base, data)
        base = dataclasses.replace(base, cache=next(iter(named.values())).cache)
        seeds = _seeds(options)
        settings = common.settings_of(options, base, data, named, seeds)
        asked = common.asked_of(settings, data, threads, named)
        place.begin(asked)
        if place.finished:
            say(f"{place.target} is finished: nothing is left to do")
            return
        record["data_sha256"] = asked["data_sha256"]
        histories = _made(options, named, seeds, data, place)
        importlib.import_module("research.experiments.prediction").fill_in_ratios(
            record["predicted_ratio"], histories, named, costs, base, data
        )
        environment = common.environment_now(threads)
        write = functools.partial(results.save, place.path, histories, settings, environment)
        when_there_is_room(place, functools.partial(write, **record))
        del histories, write  # the page reads them again
        page = Page(place.path)
    page.say_of(place)


def _dry_run(options):
    data, _ = common.prepared(options)
    from research.commands.dry_run import describe_all

    base = common.experiment_of(options, data)
    named, costs, record = _chosen(options, base, data)
    ratios, labels = record["predicted_ratio"], record["methods"]
    say(describe_all(base, named, costs, ratios, labels, len(_seeds(options)), data))


def _seeds(options):
    """The seeds: so many from 0 on, or those of a range."""
    return options.seeds if isinstance(options.seeds, range) else range(options.seeds)


def _made(options, named, seeds, data, place):
    """The histories of all runs, those of an earlier command included."""
    from research.storage.run_store import RunStore

    store = RunStore(place.path / folders.CHECKPOINTS, list(named))
    if place.adds:
        for history in results.read(place.target)[0]:
            store.finish(history.method, history.seed, history)
    kept = {"store": store, "every": options.checkpoint_every, "quiet": options.quiet}
    kept["callbacks"] = functools.partial(_callbacks, options.target, _logs(options))
    if options.engine == "ray":
        from research.running.on_ray import train_on_ray

        cluster = {"cpus": options.cpus_per_run, "address": options.address}
        return train_on_ray(named, seeds, data, threads=options.threads, **cluster, **kept)
    from research.running.comparison import train_in_turns

    return train_in_turns(named, seeds, data, **kept)


def _callbacks(target, logs, label, seed):
    """The callbacks of a run: a target to watch for, and TensorBoard's log."""
    from research.running.target import TimeToTarget

    watched = [TimeToTarget(target / 100)] if target else []
    return [*watched, *(logs(label, seed) if logs else ())]


def _logs(options):
    """A function from label and seed to TensorBoard's log of a run, if there is one."""
    if not options.tensorboard:
        return None
    from research.running.tensorboard import logs_of_runs

    return logs_of_runs(options.tensorboard, options.overwrite or options.resume)


def _with_cache_of(place, base):
    """The experiment with the number of bytes that 'auto' was for the command gone on with."""
    before = place.asked.get("cache", "auto")
    return dataclasses.replace(base, cache=before) if base.cache == "auto" else base


def _chosen(options, base, data):
    """The experiments of a comparison and their costs by their labels, and what to record."""
    from research.experiments import prediction
    from research.experiments.experiment import check
    from research.running.comparison import of_methods
    from research.studies import load_study

    study = load_study(options.study) if options.study else None
    own = {name: getattr(options, name) for name in getattr(study, "OPTIONS", ())}
    named = study.experiments(base, **own) if study else of_methods(base, options.methods)
    named, settings = grid.expanded(named, dict(options.grid))
    for experiment in named.values():
        check(experiment, data)
    costs = prediction.costs(named, data)
    record = {"study": study.facts(named, costs)} if study else {}
    record |= {"grid": settings} if settings else {}
    if options.equal_time:
        named = {label: prediction.equal_time(run, costs[label]) for label, run in named.items()}
    named = {label: prediction.own_length(run, costs[label]) for label, run in named.items()}
    named = settled(named)
    costs = common.predicting(options, named, costs, data)
    return named, costs, record | common.recorded(named, costs, base.iterations, data)
