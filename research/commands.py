"""What the commands do, once the command line is understood."""

import contextlib
import dataclasses
import importlib
import pathlib

from research import results
from research.merging import together
from research.names import PARTIAL, SUITES, USERS, kind


def compare(options):
    """`resbatch compare`: every method on every seed, to a folder."""
    with results.new_folder(options.out, "compare", options.overwrite) as folder:
        data, threads = _prepare(options)
        from research.comparison import compare as compare_all
        from research.experiment import check

        base = _experiment(options, data)
        check(base, data)
        named, costs, record = _chosen(options, base, data)
        seeds = range(options.seeds)
        histories = compare_all(named, seeds, data)
        _tell_ratios(record["predicted_ratio"], histories, costs)
        settings = _settings(options, base, data, list(named), seeds)
        results.save(folder, histories, settings, _environment(threads), **record)
        final = _report(folder, *results.read(folder))
    print(final)
    print(f"\nReport: {_final(folder) / 'report.html'}")


def _chosen(options, base, data):
    """The experiments of a comparison and their costs by their labels, and what to record."""
    from research import prediction
    from research.comparison import of_methods
    from research.studies import load_study

    study = load_study(options.study) if options.study else None
    named = study.experiments(base) if study else of_methods(base, options.methods)
    costs = prediction.costs(named, data)
    record = {"study": study.facts(named, costs)} if study else {}
    if options.equal_time:
        named = {label: prediction.equal_time(one, costs[label]) for label, one in named.items()}
    record["iterations"] = {label: one.iterations for label, one in named.items()}
    record["predicted_ratio"] = {
        label: prediction.predicted_ratio(one, costs[label], base.iterations)
        for label, one in named.items()
    }
    return named, costs, record


def _tell_ratios(predicted, histories, costs):
    """Fill in the ratios that only the runs could tell."""
    from research.prediction import told_ratio

    for label in [label for label, ratio in predicted.items() if ratio is None]:
        own = [history for history in histories if history.method == label]
        predicted[label] = told_ratio(own, costs[label])


def train(options):
    """`resbatch train`: one run, to a folder."""
    if options.dry_run:
        _dry_run(options)
        return
    with results.new_folder(options.out, "train", options.overwrite, options.resume) as folder:
        data, threads = _prepare(options)
        from batch import flops
        from research.prediction import predicted_ratio

        base, one = _one(options, data)
        run = _carried_out(options, one, data, folder)
        history, network = run.history, run.model.network
        settings = _settings(options, base, data, [one.method], [one.seed])
        costs = flops.block_costs(network)
        predicted = {one.method: predicted_ratio(one, costs, base.iterations)}
        _tell_ratios(predicted, [history], {one.method: costs})
        results.save(
            folder,
            [history],
            settings,
            _environment(threads),
            predicted,
            iterations={one.method: one.iterations},
        )
        network.save(folder / f"{options.save_weights or 'model'}.keras")
    split = "validation" if options.validate == "val" else "test"
    print(
        f"{one.method}: {split} accuracy {100 * history.accuracy:.2f} %, "
        f"{sum(history.seconds):.1f} s of training"
    )
    print(f"Results: {_final(folder)}")


def _carried_out(options, one, data, folder):
    """The run, made to its end, with all that looks on."""
    from batch.models.checkpoint import Checkpoints
    from research import watchers
    from research.evaluation import Evaluation
    from research.metrics import default_name
    from research.run import Run

    evaluation = Evaluation(options.eval_every, options.eval_batches, options.metrics)
    run = Run(one, data, evaluation=evaluation)
    checkpoints = Checkpoints(folder / results.CHECKPOINTS, options.keep_checkpoints)
    if options.resume:
        run.take_up(checkpoints)
        place = f"Going on after iteration {len(run.history)}"
        print(place if run.history else "No checkpoint: from the beginning", flush=True)
    made = len(run.history)
    name = options.save_weights or default_name(one, data.name, options.epochs) + "_log"
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(watchers.Progress(one.iterations, made))
        run.watchers = [progress, watchers.MetricsLog(folder / f"{name}.jsonl", made)]
        if options.eval_every:
            run.watchers.append(watchers.LogLine())
        if options.tensorboard:
            from research.tensorboard import TensorBoardLog

            replace = options.overwrite or options.resume
            log = TensorBoardLog(options.tensorboard, made, replace)
            run.watchers.append(stack.enter_context(log))
        if options.checkpoint_every:
            run.watchers.append(watchers.CheckpointEvery(checkpoints, options.checkpoint_every))
        run.advance(one.iterations)
    return run


def _dry_run(options):
    data, _ = _prepare(options)
    from research.dry_run import describe

    _, one = _one(options, data)
    print(describe(one, data))


def _one(options, data):
    """The experiment of a single run, and the same with `--const-time`."""
    from research import prediction
    from research.experiment import check

    base = _experiment(options, data, method=options.method, seed=options.seed)
    check(base, data)
    if not options.const_time:
        return base, base
    costs = prediction.costs({base.method: base}, data)[base.method]
    return base, prediction.equal_time(base, costs)


def report(options):
    """`resbatch report`: figures and report again, of one folder or of several together."""
    loaded = [results.read(folder) for folder in options.folders]
    if len(loaded) == 1 and options.out is None:
        print(_report(pathlib.Path(options.folders[0]), *loaded[0]))
        print(f"\nReport: {pathlib.Path(options.folders[0]) / 'report.html'}")
        return
    histories, record = together(options.folders, loaded)
    with results.new_folder(options.out, "report", options.overwrite) as folder:
        results.save(folder, histories, **record)
        table = _report(folder, histories, record)
    print(table)
    print(f"\nReport: {_final(folder) / 'report.html'}")


def data(options):
    """`resbatch data`: pack a data set into .blk files."""
    from batch.data.data import pack

    loaded = _load(options.source or options.name)
    name = pathlib.Path(options.name).stem
    for path in pack(dataclasses.replace(loaded, name=name), options.out):
        print(path)


def reproduce(options):
    """`resbatch reproduce`: run every notebook."""
    from research.notebooks import run_notebooks

    with results.new_folder(options.out, "reproduce", options.overwrite) as folder:
        names = run_notebooks(folder)
        settings = {"command": "reproduce", "notebooks": names}
        results.write_record(folder, settings, _environment())
    for name in names:
        print(_final(folder) / name)


def bench(options):
    """`resbatch bench`: measure, side by side."""
    from research.benchmarks.harness import run_suites

    with results.new_folder(options.out, "bench", options.overwrite) as folder:
        names = options.suites or list(SUITES)
        run_suites(names, options.repetitions, options.batch_size, options.threads, folder)
        settings = {"command": "bench", "suites": names, "repetitions": options.repetitions}
        results.write_record(folder, settings, _environment(options.threads))
    print(f"\nTable: {_final(folder) / 'bench.md'}")


COMMANDS = {
    function.__name__: function for function in (compare, train, report, data, reproduce, bench)
}


def _prepare(options):
    """Data, and TensorFlow with its threads: data first, for they fail faster."""
    loaded = _load(options.data)
    from batch.runtime import set_threads

    threads = set_threads(options.threads)
    if getattr(options, "validate", "test") == "val":
        from research.experiment import hold_out

        loaded = hold_out(loaded)
    return loaded, threads


def _load(source):
    from batch.data.data import NAMES, load_data

    if source in NAMES and source != "digits":
        importlib.import_module("batch")  # starts TensorFlow, which keras.datasets needs, quietly
    return load_data(source)


def _experiment(options, data, **changes):
    from batch.schedules.freezeout import iterations_of
    from research.experiment import Experiment

    names = {field.name for field in dataclasses.fields(Experiment)} - {"method", "seed"}
    given = {name: getattr(options, name) for name in names}
    if options.epochs:
        rows = len(data.train.labels)
        given["iterations"] = iterations_of(options.epochs, rows, options.batch_size)
    return Experiment(**given, **changes)


def _settings(options, experiment, data, methods, seeds):
    """What it takes to run it again; what the methods have no use for is left out."""
    from batch.models.named import MODELS

    study = getattr(options, "study", None)
    defaults = {} if study else MODELS[experiment.model].DEFAULTS
    settings = dataclasses.asdict(experiment) | defaults | experiment.model_options
    kinds = {kind(method) for method in methods}
    unused = ["data", "method", "seed", "model_options"]
    unused += [name for name, users in USERS.items() if not users & kinds]
    unused += [] if experiment.milestones else ["milestones", "gamma"]
    unused += ["t_0", "how_scale", "scale_lr"] if study else []
    settings = {
        name: value for name, value in settings.items() if name not in unused and value is not None
    }
    choices = ("validate", "const_time", "equal_time", "study")
    chosen = {name: getattr(options, name) for name in choices if getattr(options, name, None)}
    longer = chosen.keys() & {"const_time", "equal_time"}  # runs and schedules are longer
    if "freeze_iterations" not in unused and not longer:
        settings.setdefault("freeze_iterations", experiment.iterations)
    return {
        "command": options.command,
        **chosen,
        "data": str(options.data),
        "train_images": len(data.train.labels),
        "test_images": len(data.test.labels),
        **settings,
        "methods": list(methods),
        "seeds": list(seeds),
    }


def _environment(threads=None):
    from research.environment import describe

    return describe(threads)


def _report(folder, histories, record):
    """Write figures and page; its first table and what it says as text."""
    from research.report import write_report

    table, said = write_report(folder, histories, record)
    return "\n".join([table.to_string(index=False), "", *said])


def _final(partial):
    """Where a folder of `results.new_folder` stands once it is whole."""
    return partial.with_name(partial.name.removesuffix(PARTIAL))
