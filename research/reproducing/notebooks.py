"""The notebooks, run from top to bottom."""

import importlib.util
import pathlib
import subprocess
import sys

from research.console import say

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
INDEX = "index.html"
EXECUTE = (
    *("--execute", "--ExecutePreprocessor.timeout=-1", "--ExecutePreprocessor.startup_timeout=600"),
    # After that: progress bars as they end.
    "--NotebookExporter.preprocessors=nbconvert.preprocessors.CoalesceStreamsPreprocessor",
)


class NotebookError(RuntimeError):
    """A notebook that fails, or that can't be run here."""


def available():
    """The paths of all notebooks.

    Raises
    ------
    NotebookError
        If they, or the packages that run them, are not here.
    """
    notebooks = sorted(NOTEBOOKS.glob("*.ipynb"))
    if not notebooks:
        raise NotebookError(
            "The notebooks are not installed with the package. They are in the folder notebooks "
            "of its source: `make reproduce`, or `python -m resbatch reproduce` there, runs them. "
            f"Looked for in: {NOTEBOOKS}"
        )
    missing = [name for name in ("nbconvert", "ipykernel") if not importlib.util.find_spec(name)]
    if missing:
        raise NotebookError(
            f"Running notebooks takes {' and '.join(missing)}, which can't be imported: "
            "pip install 'resbatch[notebooks]'"
        )
    return notebooks


def run_notebooks(folder, notebooks=None):
    """Run notebooks with nbconvert, each to an executed notebook and an HTML page, and an index.

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
        Says which notebook failed, and with what; or why none can be run.
    """
    import nbformat

    from research.reproducing.notebook_pages import write_index, write_page

    folder, executed = pathlib.Path(folder), {}
    for notebook in notebooks or available():
        say(f"Running {notebook.name}")
        _execute(notebook, folder)
        executed[notebook.name] = nbformat.read(folder / notebook.name, 4)
        write_page(executed[notebook.name], (folder / notebook.name).with_suffix(".html"))
    write_index(executed, folder / INDEX)
    pages = [pathlib.Path(name).with_suffix(".html").name for name in executed]
    return [INDEX, *(file for pair in zip(executed, pages) for file in pair)]


def _execute(notebook, folder):
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--output-dir", str(folder)]
    done = subprocess.run(
        [*command, *EXECUTE, str(notebook)], capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise NotebookError(f"{notebook.name}: {lines[-1]}")
