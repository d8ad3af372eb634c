"""What the commands do, once the command line is understood."""

import dataclasses
import importlib
import pathlib

import pandas as pd

from research import results
from research.names import METHODS

MATCHED = ("data", "model", "iterations", "batch_size", "freeze_iterations", "precision")


def compare(options):
    """`resbatch compare`: every method on every seed, to a folder."""
    with results.new_folder(options.out, "compare", options.overwrite) as folder:
        data, threads = _prepare(options)
        from research.compare import compare as compare_methods

        base = _experiment(options)
        seeds = range(options.seeds)
        histories, predicted = compare_methods(base, options.methods, seeds, data)
        settings = _settings(options, base, data, options.methods, seeds)
        results.save(folder, histories, settings, _environment(threads), predicted)
        final = _report(folder, *results.read(folder))
    print(final)
    print(f"\nReport: {_final(folder) / 'report.html'}")


def train(options):
    """`resbatch train`: one run, to a folder."""
    with results.new_folder(options.out, "train", options.overwrite) as folder:
        data, threads = _prepare(options)
        from research import experiment as experiments
        from research.compare import Progress

        one = _experiment(options, method=options.method, seed=options.seed)
        if options.epochs:
            rows = len(data.train.labels)
            one = dataclasses.replace(one, iterations=-(-options.epochs * rows // one.batch_size))
        experiments.check(one, data)
        with Progress(one.iterations) as progress:
            history, model = experiments.run(one, data, progress)
        settings = _settings(options, one, data, [one.method], [one.seed])
        predicted = {one.method: experiments.predicted_ratio(one, model.network)}
        results.save(folder, [history], settings, _environment(threads), predicted)
        model.network.save(folder / "model.keras")
    seconds = sum(history.seconds)
    print(
        f"{one.method}: test accuracy {100 * history.accuracy:.2f} %, {seconds:.1f} s of training"
    )
    print(f"Results: {_final(folder)}")


def report(options):
    """`resbatch report`: figures and report again, of one folder or of several together."""
    loaded = [results.read(folder) for folder in options.folders]
    if len(loaded) == 1 and options.out is None:
        print(_report(pathlib.Path(options.folders[0]), *loaded[0]))
        print(f"\nReport: {pathlib.Path(options.folders[0]) / 'report.html'}")
        return
    histories, record = _together(options.folders, loaded)
    with results.new_folder(options.out, "report", options.overwrite) as folder:
        results.save(
            folder, histories, record["settings"], record["environment"], record["predicted_ratio"]
        )
        table = _report(folder, histories, record)
    print(table)
    print(f"\nReport: {_final(folder) / 'report.html'}")


def data(options):
    """`resbatch data`: pack a data set into .blk files."""
    from utils.data import pack

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
    from research.benchmarks import run_suites

    run_suites(options.suites, options.repetitions, options.batch_size, options.threads)


COMMANDS = {
    function.__name__: function for function in (compare, train, report, data, reproduce, bench)
}


def _prepare(options):
    """Data, and TensorFlow with its threads: data first, for they fail faster."""
    loaded = _load(options.data)
    from batch.runtime import set_threads

    return loaded, set_threads(options.threads)


def _load(source):
    from utils.data import NAMES, load_data

    if source in NAMES and source != "digits":
        importlib.import_module("batch")  # starts TensorFlow, which keras.datasets needs, quietly
    return load_data(source)


def _experiment(options, **changes):
    from research.experiment import Experiment

    return Experiment(
        data=options.data,
        model=options.model,
        iterations=options.iterations,
        batch_size=options.batch_size,
        freeze_iterations=options.freeze_iterations,
        survival=options.survival,
        precision=options.precision,
        **changes,
    )


def _settings(options, experiment, data, methods, seeds):
    stochastic = {"survival": experiment.survival} if "stochastic" in methods else {}
    return {
        "command": options.command,
        "data": str(options.data),
        "train_images": len(data.train.labels),
        "test_images": len(data.test.labels),
        "model": experiment.model,
        "iterations": experiment.iterations,
        "batch_size": experiment.batch_size,
        "freeze_iterations": experiment.freeze_iterations or experiment.iterations,
        "precision": experiment.precision,
        **stochastic,
        "methods": list(methods),
        "seeds": list(seeds),
    }


def _environment(threads=None):
    from research.environment import describe

    return describe(threads)


def _report(folder, histories, record):
    """Write figures and page; the summary as text."""
    from research import report as reports
    from research.compare import summarize

    reports.write_report(folder, histories, record)
    summary = summarize(histories, record["predicted_ratio"])
    rows = [reports.table_row(row) for _, row in summary.iterrows()]
    table = pd.DataFrame(rows, columns=reports.COLUMNS).to_string(index=False)
    return "\n".join([table, "", *reports.statements(summary)])


def _together(folders, loaded):
    """The runs of several folders as one comparison, where their settings match.

    Otherwise every folder's methods are named after it, and nothing is compared but in figures.
    """
    records = [record for _, record in loaded]
    common = [{key: record["settings"][key] for key in MATCHED} for record in records]
    survivals = {record["settings"].get("survival") for record in records} - {None}
    runs = [(one.method, one.seed) for histories, _ in loaded for one in histories]
    matched = (
        all(settings == common[0] for settings in common)
        and len(survivals) <= 1
        and len(set(runs)) == len(runs)
    )
    merged, predicted = [], {}
    for folder, (histories, record) in zip(folders, loaded):
        prefix = "" if matched else f"{pathlib.Path(folder).name}: "
        merged += [dataclasses.replace(one, method=prefix + one.method) for one in histories]
        predicted |= {prefix + name: ratio for name, ratio in record["predicted_ratio"].items()}
    if matched:
        merged.sort(key=lambda one: (one.seed, METHODS.index(one.method)))
    settings = {
        **records[0]["settings"],
        "command": "compare",
        "methods": list(dict.fromkeys(one.method for one in merged)),
        "seeds": sorted({one.seed for one in merged}),
    }
    if matched and survivals:
        settings["survival"] = survivals.pop()
    record = {**records[0], "settings": settings, "predicted_ratio": predicted}
    return merged, record


def _final(partial):
    """Where a folder of `results.new_folder` stands once it is whole."""
    return partial.with_name(partial.name.removeprefix(".").removesuffix(".partial"))
