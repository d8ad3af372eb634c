"""The commands that train nothing, and the benchmarks."""

import dataclasses
import pathlib

from batch.files import remove_abandoned
from research.commands.common import environment_now
from research.commands.writing import Page, drawn_again, open_page
from research.console import say
from research.names import SUITES
from research.storage import folders, results
from research.storage.locks import only_writer
from research.storage.merging import joined, together


def report(options):
    """`resbatch report`: figures and report again, of one folder or of several together."""
    page = _drawn(options)
    if options.open:
        open_page(page)


def _drawn(options):
    """The path of the page, once it is drawn."""
    if len(options.folders) == 1 and options.out is None:
        (folder,) = options.folders
        results.read(folder)  # before there is a lock beside what holds no results
        with only_writer(folder), results.drawing([folder]):
            remove_abandoned(folder)  # by an earlier one that was killed
            text = drawn_again(folder, options.format)
        say(text)
        say(f"\nReport: {folder / 'report.html'}")
        return folder / "report.html"
    loaded = [results.read(folder) for folder in options.folders]
    with results.drawing(options.folders):
        histories, record = together(options.folders, loaded)
    return _write(options, histories, record)


def merge(options):
    """`resbatch merge`: comparisons on other seeds, as one."""
    histories, record = joined(options.folders, [results.read(one) for one in options.folders])
    _write(options, histories, record)


def _write(options, histories, record):
    """Write results and their page to a new folder, and say what they are; the page's path."""
    with folders.new_folder(options.out, options.command, options.overwrite) as place:
        results.save(place.path, histories, **record)
        page = Page(place.path, getattr(options, "format", None))
    page.say_of(place)
    return place.target / "report.html"


def predict(options):
    """`resbatch predict`: what a trained network says of images."""
    from research.commands.predicting import predictions

    for line in predictions(options.run, options.images):
        say(line)


def import_weights(options):
    """`resbatch import`: the weights of a PyTorch program, to a network in a file."""
    results.check_file(options.out, options.overwrite)
    from batch.models.network_file import write_keras_file
    from research.commands.importing import import_network

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
    from research.experiments import splits

    loaded = splits.load(options.source or options.name)
    name = pathlib.Path(options.name).stem
    with only_writer(options.out):
        paths = pack(dataclasses.replace(loaded, name=name), options.out)
    for path in paths:
        say(path)


def reproduce(options):
    """`resbatch reproduce`: run every notebook."""
    from research.reproducing.notebooks import available, run_notebooks

    notebooks = available()
    with folders.new_folder(options.out, "reproduce", options.overwrite) as place:
        names = run_notebooks(place.path, notebooks)
        settings = {"command": "reproduce", "notebooks": names}
        results.write_record(place.path, settings, environment_now())
    for name in names:
        say(place.target / name)


def bench(options):
    """`resbatch bench`: measure, side by side."""
    from research.benchmarks.harness import USUAL_BATCH
    from research.benchmarks.suites import QUICK, REPETITIONS, run_suites

    with folders.new_folder(options.out, "bench", options.overwrite, options.resume) as place:
        if place.finished:
            say(f"{place.target} is finished: nothing is left to do")
            return
        names = options.suites or list(SUITES)
        settings = {
            "repetitions": options.repetitions or (QUICK if options.quick else REPETITIONS),
            "batch_size": options.batch_size or USUAL_BATCH,
            "quick": options.quick,
        }
        run_suites(names, place.path, **settings, threads=options.threads, resume=options.resume)
        settings = {"command": "bench", "suites": names, **settings}
        results.write_record(place.path, settings, environment_now(options.threads))
    say(f"\nTable: {place.target / 'bench.md'}")
