"""The notebooks, run from top to bottom."""

import pathlib
import subprocess
import sys

from research.console import say

NOTEBOOKS = pathlib.Path(__file__).resolve().parent.parent / "notebooks"
EXECUTE = (
    *("--execute", "--ExecutePreprocessor.timeout=-1", "--ExecutePreprocessor.startup_timeout=600"),
    # After that: progress bars as they end.
    "--NotebookExporter.preprocessors=nbconvert.preprocessors.CoalesceStreamsPreprocessor",
)


class NotebookError(RuntimeError):
    """A notebook that fails, or that can't be run here."""


def run_notebooks(folder, notebooks=None):
    """Run notebooks with nbconvert, each to an executed notebook and an HTML page.

    Parameters
    ----------
    folder : path
        Where to write.
    notebooks : sequence of paths, optional
        By default all there are.

    Returns
    -------
    list of str
        Names of the files written.

    Raises
    ------
    NotebookError
        Says which notebook failed, and with what.
    """
    written = []
    for notebook in notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        say(f"Running {notebook.name}")
        _convert(notebook, folder, "notebook", *EXECUTE)
        executed = pathlib.Path(folder) / notebook.name
        _convert(executed, folder, "html")
        written += [executed.name, executed.with_suffix(".html").name]
    return written


def _convert(notebook, folder, kind, *options):
    command = [sys.executable, "-m", "nbconvert", "--to", kind, "--output-dir", str(folder)]
    done = subprocess.run(
        [*command, *options, str(notebook)], capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise NotebookError(f"{notebook.name}: {lines[-1]}")
