"""Figures, and one self-contained HTML page: settings, table, and what it says in words."""

import base64
import contextlib
import dataclasses
import io
import pathlib

import jinja2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from batch.data.history import by_method
from batch.files import replacing, write_text
from research import studies
from research.confusion import confusion_figure
from research.labels import facts_of
from research.names import MARGIN
from research.statements import remarks, statements
from research.statistics import summarize
from research.tables import tables_of
from utils.plots import compare_curves

WINDOW = 20  # iterations that the curves are averaged over
DOTS_PER_INCH = 150
MOST_MATRICES = 6  # of so many methods mistakes are shown, or else of the most accurate one alone


@contextlib.contextmanager
def _default_style():
    """Within this context, matplotlib draws as it comes, whatever the style and matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@_default_style()
def write_report(folder, histories, record):
    """Write `loss.png` and `report.html` into a folder.

    Parameters
    ----------
    folder : path
    histories : list of History
    record : dict
        As from `research.results.read`.

    Returns
    -------
    table : DataFrame
        The first on the page, of texts.
    statements : list of str
        What it says.
    """
    folder = pathlib.Path(folder)
    methods = facts_of(by_method(histories), record.get("methods"))
    settings = record["settings"]
    margin, test_images = settings.get("margin", MARGIN), settings.get("test_images")
    summary = summarize(histories, record["predicted_ratio"], methods, margin)
    drawn = [dataclasses.replace(run, method=_literal(run.method)) for run in histories]
    figures = _figures(drawn, methods) + _confusion(drawn, record)
    _write_png(folder / "loss.png", figures[0][1])
    compared = "study" not in record or summary.baseline.notna().any()
    tables = tables_of(histories, summary if compared else summary[:0])
    texts = statements(summary, margin, settings.get("target"), test_images)
    if "study" in record:
        table, texts, figure = _study(folder, histories, record)
        texts += remarks(summary, margin, test_images)
        tables.insert(0, table)
        figures.insert(0, figure)
    page = _template().render(
        record=record,
        title=_title(settings, methods),
        length=_length(histories),
        tables=[(list(table), table.to_numpy().tolist()) for table in tables],
        statements=texts,
        wrong=_worst(histories, record),
        compared=compared,
        split="the held-out training images" if _validated(record) else "the whole test split",
        figures=[(title, base64.b64encode(png).decode(), text) for title, png, text in figures],
    )
    write_text(folder / "report.html", page)
    return tables[0], texts


def _figures(histories, methods):
    """Title, PNG and caption of each figure, the loss first."""
    figures = [
        ("Training loss", _png(loss_figure(histories)), _loss_caption(histories, methods)),
        (
            "Accuracy and time",
            _png(accuracy_figure(histories)),
            "Each dot is a run, each cross the mean of a method: up is better, left is faster.",
        ),
    ]
    if any(any(history.frozen) for history in histories):
        caption = "Leading blocks without a backward pass; where seeds differ, a line for each."
        figures.append(("Frozen blocks", _png(frozen_figure(histories)), caption))
    return figures


def _literal(text):
    """A text for matplotlib, which takes what is between dollars for a formula."""
    return text.replace("$", r"\$")


def _with_mistakes(histories):
    """The runs whose mistakes are shown."""
    runs = [history for history in histories if history.mistakes]
    if len(runs) > MOST_MATRICES:
        return [max(runs, key=lambda run: run.accuracy)]
    return runs


def _class_names(runs, record):
    """The names of the classes, or their numbers."""
    return record.get("classes") or [
        str(number) for number in range(len(runs[0].mistakes["confusion"]))
    ]


def _confusion(histories, record):
    """Title, PNG and caption of the confusion matrices, if they are known."""
    runs = _with_mistakes(histories)
    if not runs:
        return []
    matrices = {f"{run.method}, seed {run.seed}": run.mistakes["confusion"] for run in runs}
    names = [_literal(name) for name in _class_names(runs, record)]
    figure = confusion_figure(matrices, names)
    caption = "How many images of each class, in a row, are taken for which, in a column."
    return [("Confusion matrix", _png(figure), caption)]


def _worst(histories, record):
    """The worst mistakes of each run: a title, and PNG and text of each image."""
    runs = _with_mistakes(histories)
    names = _class_names(runs, record) if runs else []
    return [
        (
            f"{run.method}, seed {run.seed}",
            [
                (
                    wrong["png"],
                    f"{names[wrong['label']]}, taken for {names[wrong['said']]} "
                    f"({100 * wrong['probability']:.1f}\u00a0%)",
                )
                for wrong in run.mistakes["worst"]
            ],
        )
        for run in runs
    ]


def _study(folder, histories, record):
    """Table, statements and figure of a study, written to the folder too."""
    study = studies.load_study(record["settings"]["study"])
    table = study.table(histories, record["study"])
    with replacing(folder / "study.csv") as new:
        table.to_csv(new, index=False)
    png = _png(study.figure(table))
    _write_png(folder / "study.png", png)
    texts = study.statements(table, len(record["settings"]["seeds"]))
    return studies.texts(study, table), texts, (study.TITLE, png, study.CAPTION)


def _title(settings, methods):
    """What was compared, and on which data if they are the same for all."""
    subject = ", ".join(methods)
    if "study" in settings:
        subject = f"the study '{settings['study']}'"
    on = f" on {settings['data']}" if "data" in settings else ""
    return subject[0].upper() + subject[1:] + on


def _length(histories):
    """How many iterations the runs have, in words."""
    lengths = [len(history) for history in histories]
    least, most = min(lengths), max(lengths)
    return f"{least} iterations" if least == most else f"{least} to {most} iterations"


def _validated(record):
    return record["settings"].get("validate") == "val"


def loss_figure(histories):
    """EWMA of the training loss of every method, mean and spread over seeds."""
    figure, axis = _figure()
    compare_curves(_curves(histories, "loss"), WINDOW, axis)
    _legend(axis)
    axis.set_ylabel(f"Training loss (EWMA over {WINDOW})")
    axis.set_yscale("log")
    axis.set_title("Training loss")
    return figure


def accuracy_figure(histories):
    """Accuracy against time, one dot per run, one cross per method."""
    figure, axis = _figure()
    for method, runs in by_method(histories).items():
        seconds = [sum(run.seconds) for run in runs]
        accuracies = [100 * run.accuracy for run in runs]
        dots = axis.scatter(seconds, accuracies, label=method, alpha=0.5)
        colour = dots.get_facecolor()[0, :3]
        axis.scatter(np.mean(seconds), np.mean(accuracies), marker="x", s=90, color=colour)
    axis.set_xlabel("Seconds of training")
    axis.set_ylabel("Accuracy, %")
    axis.set_title("Accuracy and time")
    _legend(axis)
    return figure


def frozen_figure(histories):
    """Leading frozen blocks over the iterations, a line for each seed where they differ."""
    figure, axis = _figure()
    for number, (method, runs) in enumerate(by_method(histories).items()):
        for frozen in {tuple(run.frozen): None for run in runs}:
            label = method if frozen == tuple(runs[0].frozen) else None
            axis.step(range(len(frozen)), frozen, f"C{number}", where="post", label=label)
    axis.set_xlabel("Iteration")
    axis.set_ylabel("Frozen blocks")
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.set_title("Frozen blocks")
    _legend(axis)
    return figure


def _loss_caption(histories, methods):
    seeds = max(len(runs) for runs in by_method(histories).values())
    spread = "the band is one standard deviation over seeds (n − 1). " if seeds > 1 else ""
    dropped = "With stochastic depth, the loss is that of the network without what it dropped. "
    if all(facts["action"] != "train_stochastic" for facts in methods.values()):
        dropped = ""
    average = f"Moving average (EWMA) over {WINDOW} iterations"
    return f"{average}; {spread}{dropped}The scale is logarithmic."


def _figure():
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.grid(alpha=0.3)
    return figure, axis


def _legend(axis):
    """A legend, beside the axis where it would cover it."""
    if len(axis.get_legend_handles_labels()[1]) > 6:
        axis.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1, 1))
    else:
        axis.legend()


def _png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()


def _write_png(path, png):
    with replacing(path) as new:
        new.write_bytes(png)


def _curves(histories, column):
    """Values of each method, shape `(seeds, iterations)`, cut to its shortest run."""
    curves = {}
    for method, runs in by_method(histories).items():
        shortest = min(len(run) for run in runs)
        curves[method] = np.array([getattr(run, column)[:shortest] for run in runs])
    return curves


def _template():
    text = pathlib.Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        text
    )
