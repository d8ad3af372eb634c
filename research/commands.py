"""What the commands do, once the command line is understood."""

import contextlib
import dataclasses
import importlib
import pathlib

from batch.files import replacing
from research import results
from research.cache_memory import settled
from research.console import say
from research.locks import only_writer
from research.merging import together
from research.methods.options import SHARED, SPACING, STEPS
from research.names import PARTIAL, SUITES


def compare(options):
    """`resbatch compare`: every method on every seed, to a folder."""
    with results.new_folder(options.out, "compare", options.overwrite) as folder:
        importlib.import_module("research.report")  # if matplotlib can't start, it is said now
        data, threads = _prepare(options)
        from research.comparison import train_in_turns
        from research.prediction import fill_in_ratios

        base = _experiment(options, data)
        named, costs, record = _chosen(options, base, data)
        base = dataclasses.replace(base, cache=next(iter(named.values())).cache)
        seeds = range(options.seeds)
        histories = train_in_turns(named, seeds, data)
        fill_in_ratios(record["predicted_ratio"], histories, named, costs, base, data)
        settings = _settings(options, base, data, named, seeds)
        results.save(folder, histories, settings, _environment(threads), **record)
        final = _report(folder, *results.read(folder))
    say(final)
    say(f"\nReport: {_final(folder) / 'report.html'}")


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
    costs = _predicting(options, named, costs, data)
    return named, costs, record | _recorded(named, costs, base.iterations, data)


def _predicting(options, named, costs, data):
    """The costs of blocks that predictions are made from."""
    from research import prediction

    return prediction.measured(named, costs, data) if options.costs == "measured" else costs


def _recorded(named, costs, iterations, data):
    """What to record of experiments: their data, methods, lengths and predicted times."""
    from research import labels, prediction

    return {
        "data": data.summary(),
        **({"classes": data.names} if data.names else {}),
        "methods": labels.describe(named),
        "iterations": {label: run.iterations for label, run in named.items()},
        "predicted_ratio": {
            label: prediction.predicted_ratio(run, costs[label], iterations, len(data.train.labels))
            for label, run in named.items()
        },
    }


def train(options):
    """`resbatch train`: one run, to a folder."""
    if options.dry_run:
        _dry_run(options)
        return
    with results.new_folder(options.out, "train", options.overwrite, options.resume) as folder:
        data, threads = _prepare(options)
        from batch import flops
        from batch.models.network_file import write_keras_file
        from research import prediction

        base, experiment = _single(options, data)
        run = _carried_out(options, experiment, data, folder)
        history, network = run.history, run.model.network
        base = dataclasses.replace(base, cache=run.experiment.cache)
        named, costs = {base.label: run.experiment}, {base.label: flops.block_costs(network)}
        if run.experiment.freezes_for_good:  # what learns in a classic run counts
            costs = prediction.costs(named, data)
        costs = _predicting(options, named, costs, data)
        settings = _settings(options, base, data, named, [base.seed])
        record = _recorded(named, costs, base.iterations, data)
        prediction.fill_in_ratios(record["predicted_ratio"], [history], named, costs, base, data)
        results.save(folder, [history], settings, _environment(threads), **record)
        with replacing(folder / f"{options.save_weights or 'model'}.keras") as new:
            write_keras_file(new, network)
    split = "validation" if options.validate == "val" else "test"
    say(
        f"{base.label}: {split} accuracy {100 * history.accuracy:.2f} %, "
        f"{sum(history.seconds):.1f} s of training"
    )
    say(f"Results: {_final(folder)}")


def _carried_out(options, experiment, data, folder):
    """The run, made to its end, with all its callbacks."""
    from batch.models.checkpoint import Checkpoints
    from research import callbacks
    from research.evaluation import Evaluation
    from research.metrics import default_name
    from research.run import Run

    if (options.checkpoint_every or 0) > experiment.iterations:
        raise ValueError(
            f"--checkpoint-every {options.checkpoint_every} would save none: the run has "
            f"{experiment.iterations} iterations"
        )
    evaluation = Evaluation(options.eval_every, options.eval_batches, options.metrics)
    run = Run(experiment, data, evaluation=evaluation)
    checkpoints = Checkpoints(folder / results.CHECKPOINTS, options.keep_checkpoints)
    if options.resume:
        run.resume(checkpoints)
        place = f"Going on after iteration {len(run.history)}"
        say(place if run.history else "No checkpoint: from the beginning")
    made = len(run.history)
    name = options.save_weights or default_name(experiment, data.name, options.epochs) + "_log"
    run.callbacks.append(callbacks.MetricsLog(folder / f"{name}.jsonl", made))
    with contextlib.ExitStack() as stack:
        if options.eval_every:
            run.callbacks.append(callbacks.LogLine())
        if options.tensorboard:
            from research.tensorboard import TensorBoardLog

            stack.enter_context(only_writer(options.tensorboard))
            replace = options.overwrite or options.resume
            log = TensorBoardLog(options.tensorboard, made, replace)
            run.callbacks.append(stack.enter_context(log))
        if options.checkpoint_every:
            run.callbacks.append(callbacks.CheckpointEvery(checkpoints, options.checkpoint_every))
        progress = callbacks.Progress(experiment.iterations, made, about=data.summary())
        run.callbacks.insert(0, stack.enter_context(progress))
        run.advance(experiment.iterations)
    return run


def _dry_run(options):
    data, _ = _prepare(options)
    from research.dry_run import describe

    _, experiment = _single(options, data)
    experiment = settled({"it": experiment})["it"]
    say(describe(experiment, data, measured=options.costs == "measured"))


def _single(options, data):
    """The experiment of a single run as it was asked for, and with the length that it will have."""
    from research import prediction
    from research.experiment import check

    base = _experiment(options, data, method=options.method, seed=options.seed)
    check(base, data)
    if not options.const_time:
        return base, prediction.own_lengths({base.label: base}, data)[base.label]
    costs = prediction.costs({base.label: base}, data)[base.label]
    return base, prediction.equal_time(base, costs)


def report(options):
    """`resbatch report`: figures and report again, of one folder or of several together."""
    loaded = [results.read(folder) for folder in options.folders]
    if len(loaded) == 1 and options.out is None:
        say(_report(pathlib.Path(options.folders[0]), *loaded[0]))
        say(f"\nReport: {pathlib.Path(options.folders[0]) / 'report.html'}")
        return
    histories, record = together(options.folders, loaded)
    with results.new_folder(options.out, "report", options.overwrite) as folder:
        results.save(folder, histories, **record)
        table = _report(folder, histories, record)
    say(table)
    say(f"\nReport: {_final(folder) / 'report.html'}")


def import_weights(options):
    """`resbatch import`: the weights of a PyTorch program, to a network in a file."""
    results.check_file(options.out, options.overwrite)
    from batch.models.network_file import write_keras_file
    from research.importing import import_network

    network, lines = import_network(
        options.weights, options.model, options.model_options, options.classes, options.image_shape
    )
    with results.new_file(options.out) as new:
        write_keras_file(new, network)
    for line in (*lines, f"\nNetwork: {options.out}"):
        say(line)


def data(options):
    """`resbatch data`: pack a data set into .blk files."""
    from batch.data.data import pack
    from research import splits

    loaded = splits.load(options.source or options.name)
    name = pathlib.Path(options.name).stem
    with only_writer(options.out):
        paths = pack(dataclasses.replace(loaded, name=name), options.out)
    for path in paths:
        say(path)


def reproduce(options):
    """`resbatch reproduce`: run every notebook."""
    from research.notebooks import run_notebooks

    with results.new_folder(options.out, "reproduce", options.overwrite) as folder:
        names = run_notebooks(folder)
        settings = {"command": "reproduce", "notebooks": names}
        results.write_record(folder, settings, _environment())
    for name in names:
        say(_final(folder) / name)


def bench(options):
    """`resbatch bench`: measure, side by side."""
    from research.benchmarks.harness import USUAL_BATCH
    from research.benchmarks.suites import QUICK, REPETITIONS, run_suites

    with results.new_folder(options.out, "bench", options.overwrite, options.resume) as folder:
        names = options.suites or list(SUITES)
        settings = {
            "repetitions": options.repetitions or (QUICK if options.quick else REPETITIONS),
            "batch_size": options.batch_size or USUAL_BATCH,
            "quick": options.quick,
        }
        run_suites(names, folder, **settings, threads=options.threads, resume=options.resume)
        settings = {"command": "bench", "suites": names, **settings}
        results.write_record(folder, settings, _environment(options.threads))
    say(f"\nTable: {_final(folder) / 'bench.md'}")


COMMANDS = {
    **{command.__name__: command for command in (compare, train, report, data, reproduce, bench)},
    "import": import_weights,
}


def _prepare(options):
    """Data, and TensorFlow with its threads: data first, for they fail faster."""
    from research import splits

    data = splits.prepared(options)
    from batch.runtime import set_threads

    return data, set_threads(options.threads)


def _experiment(options, data, **changes):
    from batch.schedules.freezeout import iterations_of
    from research.experiment import Experiment

    names = {field.name for field in dataclasses.fields(Experiment)} - {"method", "seed"}
    given = {name: getattr(options, name) for name in names}
    if options.epochs:
        rows = len(data.train.labels)
        given["iterations"] = iterations_of(options.epochs, rows, options.batch_size)
    return Experiment(**given, **changes)


def _settings(options, base, data, named, seeds):
    """What it takes to run it again; what the methods have no use for is left out.

    Parameters
    ----------
    options : argparse.Namespace
    base : Experiment
        What the experiments have in common.
    data : utils.Data
    named : dict from str to Experiment
    seeds : sequence of int
    """
    from batch.models.named import MODELS
    from research import bases

    study = getattr(options, "study", None)
    defaults = {} if study or base.base else MODELS[base.model].DEFAULTS
    plain = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    settings = plain | defaults | base.model_options
    settings["freeze_first"] = base.freeze_first or options.depths
    if base.base:
        settings["base_sha256"] = bases.digest(base.base)
    unused = {"data", "method", "seed", "model_options", *_unread(base, named, study)}
    unused |= {"model"} if base.base else set()
    settings = {
        name: value
        for name, value in settings.items()
        if name not in unused and value is not None and value != ()
    }
    data_choices = "validate", "image_size", "skip_broken"
    choices = (*data_choices, "const_time", "equal_time", "study", "costs")
    chosen = {name: getattr(options, name) for name in choices if getattr(options, name, None)}
    longer = chosen.keys() & {"const_time", "equal_time"}  # runs and schedules are longer
    if "freeze_iterations" not in unused and not longer:
        settings.setdefault("freeze_iterations", base.iterations)
    return {
        "command": options.command,
        **chosen,
        "data": str(options.data),
        "train_images": len(data.train.labels),
        "test_images": len(data.test.labels),
        **settings,
        "methods": [
            label if study else run.trained_by.source or run.label for label, run in named.items()
        ],
        "seeds": list(seeds),
    }


def _unread(base, named, study):
    """Names of the options that none of the experiments reads from what they have in common."""
    read = {name for run in named.values() for name in run.trained_by.options}
    read |= {"cache"} if any(run.freezes_for_good for run in named.values()) else set()
    if not base.milestones:
        read -= STEPS.keys()
    if study:
        read -= SPACING.keys()
    return SHARED.keys() - read


def _environment(threads=None):
    from research.environment import describe

    return describe(threads)


def _report(folder, histories, record):
    """Write figures and page; return the first table and the statements as text."""
    from research.report import write_report

    table, texts = write_report(folder, histories, record)
    return "\n".join([table.to_string(index=False), "", *texts])


def _final(partial):
    """The path that a folder of `results.new_folder` has in the end."""
    return partial.with_name(partial.name.removesuffix(PARTIAL))
