"""Writing what a command has made, where the disk may be full, and drawing may fail."""

import errno
import time
import webbrowser

from research.console import say
from research.storage import results
from research.storage.folders import ResultsError

FULL = (errno.ENOSPC, errno.EDQUOT)
WAIT, LOOK = 600, 5  # seconds: to wait for room at most, and from one look to the next


def when_there_is_room(place, write):
    """Write; where there is no room on the disk, wait for it, for ten minutes at most."""
    start = time.monotonic()
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in FULL or time.monotonic() - start > WAIT:
                raise
            if not place.waited:
                say(f"No room to write {place.target}: waiting until there is ({error})")
            place.waited = True
            time.sleep(LOOK)


class Page:
    """The page and the figures of a folder, or why they could not be drawn.

    Attributes
    ----------
    text : str
        The first table and the statements.
    error : Exception or None
    """

    def __init__(self, folder, kind=None):
        self.text, self.error = "", None
        try:
            self.text = drawn_again(folder, kind)
        except Exception as error:  # as of LaTeX, fonts, or a full disk: results are there
            self.error = error

    def say_of(self, place, text=None):
        """Print the text and where the page is; or fail, once the folder is in its place."""
        if self.error:
            raise ResultsError(
                f"The results are in {place.target}, but not their page: "
                f"{type(self.error).__name__}: {self.error}. resbatch report {place.target} draws "
                "it"
            ) from self.error
        say(self.text if text is None else text)
        say(f"\nReport: {place.target / 'report.html'}")


def drawn_again(folder, kind=None):
    """Write page and figures of a folder of results, also those of a kind for a paper.

    Returns
    -------
    str
        The first table and the statements.
    """
    from research.page.report import write_report

    histories, record = results.read(folder)
    table, texts = write_report(folder, histories, record)
    if kind:
        texts = [*texts, "", _for_a_paper(folder, histories, record, kind)]
    return "\n".join([table.to_string(index=False), "", *texts])


def open_page(path):
    """Open a page in the browser of the user, or say that there is none."""
    try:
        opened = webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        say(f"There is no browser here to open it with: {path.resolve()}")


def _for_a_paper(folder, histories, record, kind):
    """Write the figures for a paper, and say where they are."""
    from research.figures import figures_of
    from research.figures.files import write_figures
    from research.verdicts.statistics import summary_of
    from utils.style import COLUMN

    place = write_figures(
        folder, figures_of(histories, record, summary_of(histories, record), COLUMN), kind
    )
    return f"Figures for a paper: {place.name}/*.{kind} beside the report, their data as *.csv"
