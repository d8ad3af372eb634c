"""Figures as files: for the folder of results, and for a paper."""

import io
import pathlib

from batch.files import remove_abandoned, replacing, write_text
from research.storage.contents import FIGURES
from research.storage.folders import ResultsError
from utils.style import styled

SCREEN, PRINT = 150, 300  # dots per inch
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def rendered(figure, kind, **options):
    """A figure as the bytes of a file, the same each time; options are those of `savefig`."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=kind, metadata=UNDATED[kind], **options)
    return buffer.getvalue()


def write_png(figure, path):
    """Write a figure for the screen."""
    _write(path, rendered(figure, "png", dpi=SCREEN))


def write_figures(folder, drawn, kind):
    """Write figures and their data, as CSV, into `figures` of a folder of results.

    Parameters
    ----------
    folder : path
    drawn : list of Drawn
        As from `research.figures.figures_of`, with a `width` for print.
    kind : {'pdf', 'png', 'svg'}

    Returns
    -------
    pathlib.Path
        The folder of the figures.

    Raises
    ------
    ResultsError
        If it is a symbolic link.
    """
    place = pathlib.Path(folder, FIGURES)
    if place.is_symlink():
        raise ResultsError(f"{place} is a symbolic link, so it is left alone")
    place.mkdir(exist_ok=True)
    remove_abandoned(place)  # by an earlier one that was killed
    for each in drawn:
        _write(place / f"{each.name}.{kind}", rendered(each.figure, kind, dpi=PRINT))
        write_text(place / f"{each.name}.csv", each.csv)
    return place


def _write(path, content):
    with replacing(path) as new:
        new.write_bytes(content)
