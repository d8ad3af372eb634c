"""The page of results, with its figures and tables, and the files beside it."""

import pathlib

from batch.data.history import by_method
from batch.files import replacing, write_text
from research import studies
from research.figures import figures_of, svg
from research.figures.files import write_png
from research.figures.mistakes import class_names, with_mistakes
from research.names import MARGIN
from research.page import Table, render
from research.page.answer import answer_of, answer_of_study
from research.page.repeat import repeat_of
from research.page.settings import ABSENT, machine_table, method_table, setting_tables
from research.page.tables import CACHE_COLUMNS, COLUMNS, tables_of
from research.verdicts.labels import facts_of
from research.verdicts.statements import remarks, statements
from research.verdicts.statistics import summary_of

PNG = ("loss", "study")  # figures that lie beside the page, too


def write_report(folder, histories, record):
    """Write `report.html` and `loss.png` into a folder; of a study `study.csv` and `study.png`.

    Parameters
    ----------
    folder : path
    histories : list of History
    record : dict
        As from `research.storage.results.read`.

    Returns
    -------
    table : DataFrame
        The first on the page, of texts.
    statements : list of str
        What it says.
    """
    folder = pathlib.Path(folder)
    methods = facts_of(by_method(histories), record.get("methods"))
    summary = summary_of(histories, record)
    figures = figures_of(histories, record, summary)
    for drawn in figures:
        if drawn.name in PNG:
            write_png(drawn.figure, folder / f"{drawn.name}.png")
    answer, tables, texts = _said(folder, histories, record, summary)
    page = render(
        answer,
        {
            "results": [_result_table(table, record) for table in tables],
            "methods": method_table(methods),
            "settings": setting_tables(record),
            "machine": machine_table(record),
        },
        title=_title(record["settings"], methods),
        about=_about(histories, record["settings"]),
        figures=[_shown(drawn) for drawn in figures],
        wrong=_worst(histories, record),
        data=_data(record),
        repeat=repeat_of(record),
    )
    write_text(folder / "report.html", page)
    return tables[0], texts


def _said(folder, histories, record, summary):
    """The answer, the tables, and the sentences for the terminal."""
    settings = record["settings"]
    margin, test_images = settings.get("margin", MARGIN), settings.get("test_images")
    if "study" not in record:
        texts = statements(summary, margin, settings.get("target"), test_images)
        return answer_of(summary, settings), tables_of(histories, summary), texts
    compared = summary if summary.baseline.notna().any() else summary[:0]
    table, texts = _study(folder, histories, record)
    notes = remarks(summary, margin, test_images)
    tables = [table, *tables_of(histories, compared)]
    return answer_of_study(texts, notes), tables, texts + notes


def _study(folder, histories, record):
    """Table and statements of a study, the table written to the folder too."""
    study = studies.load_study(record["settings"]["study"])
    table = study.table(histories, record["study"])
    with replacing(folder / "study.csv") as new:
        table.to_csv(new, index=False)
    return studies.texts(study, table), study.statements(table, len(record["settings"]["seeds"]))


def _shown(drawn):
    """A figure as the page has it."""
    return {
        "name": drawn.name,
        "title": drawn.title,
        "caption": drawn.caption,
        "details": drawn.text.splitlines()[1:],
        "svg": svg(drawn.figure, f"{drawn.title}\n{drawn.text}"),
        "data": drawn.data_uri,
    }


def _result_table(table, record):
    """A table of results with its caption and, of that of the methods, what its columns mean."""
    caption = {COLUMNS: "Accuracy and time of each method", CACHE_COLUMNS: "Caches, on average"}
    caption = caption.get(tuple(table), "The runs of the study")
    known = table.loc[:, (table != ABSENT).any()]
    meaning = _meaning(record, "verdict" in known) if tuple(table) == COLUMNS else ""
    return Table(caption, list(known), known.to_numpy().tolist(), meaning)


def _meaning(record, compared):
    held_out = record["settings"].get("validate") == "val"
    split = "the held-out training images" if held_out else "the whole test split"
    said = (
        f"Accuracy: mean ± standard deviation over seeds (n − 1), on {split}. Seconds: training, "
        "compilation included."
    )
    if not compared:
        return said
    measured = record["settings"].get("costs") == "measured"
    costs = "what each block was measured to take" if measured else "the FLOPs of each stage"
    return (
        f"{said} Difference: to the matched baseline, in percentage points (pt), paired over "
        "seeds. Time and predicted: over the baseline’s, the mean ratio of the seeds with its 95 % "
        "interval, by its logarithm. Verdict: better and worse by a two-sided paired t test at "
        "0.05, no worse by a one-sided test against the margin at 0.025, both corrected over the "
        f"methods (Holm). Predicted: from {costs}, less what the cache should spare."
    )


def _worst(histories, record):
    """The worst mistakes of each run that has any: a title, and PNG and text of each image."""
    runs = [run for run in with_mistakes(histories) if run.mistakes["worst"]]
    names = class_names(runs, record) if runs else []
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


def _title(settings, methods):
    """What was compared, and on which data if they are the same for all."""
    subject = ", ".join(methods)
    if "study" in settings:
        subject = f"the study '{settings['study']}'"
    on = f" on {settings['data']}" if "data" in settings else ""
    return subject[0].upper() + subject[1:] + on


def _about(histories, settings):
    """How long the runs are, and what they have in common, in a text."""
    lengths, seeds = [len(run) for run in histories], len({run.seed for run in histories})
    least, most = min(lengths), max(lengths)
    length = f"{least} iterations" if least == most else f"{least} to {most} iterations"
    if settings.get("batch_size"):
        length += f" of {settings['batch_size']} images"
    length += f", {seeds} seeds" if seeds > 1 else ", one seed"
    if settings.get("equal_time") or settings.get("const_time"):
        length += ": as many as take the time of classic by their FLOPs"
    if "matched" in settings:
        return f"{length}. These runs differ in more than their methods: nothing is compared."
    alike = "All methods share each seed's initial weights and order of batches."
    return f"{length}. {alike}" if len(histories) > 1 else f"{length}."


def _data(record):
    """How the data were understood, in sentences."""
    said = [f"{record['data']}."] if record.get("data") else []
    if record.get("classes"):
        said.append(f"Classes: {', '.join(record['classes'])}.")
    return said
