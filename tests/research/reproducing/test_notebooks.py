import pathlib
import re

import nbformat
import pytest

from research.cli import main
from research.reproducing import notebooks
from research.reproducing.notebooks import NOTEBOOKS, NotebookError, run_notebooks

SMALL = {  # networks in the place of those that train too long for a test
    "freezeout": "small_resnet",
    "freezing": "plain_network",
    "stochastic_depth": "small_resnet",
}
STARTUP = """
import sys
import pytest
sys.path.append({folder!r})
import small_networks
from batch.networks.resnet import DEPTHS
small_networks.use(pytest.MonkeyPatch(), small_networks.{network})
DEPTHS[50] = (1, 1), 3
"""


@pytest.fixture
def small_kernels(tmp_path, monkeypatch):
    """A function: in kernels that start from now on, networks are small."""

    def start_with_small_networks(network):
        folder = tmp_path / "ipython" / "profile_default" / "startup"
        folder.mkdir(parents=True)
        here = str(pathlib.Path(__file__).parent)
        (folder / "00.py").write_text(STARTUP.format(folder=here, network=network))
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    return start_with_small_networks


def answers(notebook):
    """The sentences that cells have written."""
    shown = [
        output.data.get("text/markdown", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "display_data"
    ]
    return [text for text in shown if text.startswith("**Answer.**")]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_run_and_say_what_they_computed(path, tmp_path, monkeypatch, small_kernels):
    monkeypatch.setenv("RESBATCH_ITERATIONS", "3")
    monkeypatch.setenv("RESBATCH_SEEDS", "1")
    monkeypatch.delenv("RESBATCH_DATA", raising=False)
    if path.stem in SMALL:
        small_kernels(SMALL[path.stem])
    written = run_notebooks(tmp_path, [path])
    assert written == ["index.html", path.name, path.with_suffix(".html").name]
    page = (tmp_path / written[2]).read_text()
    assert len(page) > 10_000
    assert not re.search(
        r"<script|\b(?:src|href)=\"?https?:(?!//arxiv\.org)|@import|url\(http", page
    )
    committed, now = (answers(nbformat.read(some, 4)) for some in (path, tmp_path / path.name))
    assert len(now) == len(committed) >= 4
    same = [text for text in now if text in committed]  # facts that no number of steps changes
    assert len(same) <= len(now) // 4, same


def test_a_notebook_that_fails_is_named_with_its_error(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    path = tmp_path / "broken.ipynb"
    nbformat.write(notebook, path)
    with pytest.raises(NotebookError, match=r"broken\.ipynb: .*ZeroDivisionError"):
        run_notebooks(tmp_path / "out", [path])


def test_of_a_progress_bar_the_end_is_kept(tmp_path):
    bar = 'for at in range(3):\n    print(f"\\rat {at}", end="", flush=True)'
    path = tmp_path / "bar.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(bar)]), path)
    run_notebooks(tmp_path / "out", [path])
    (cell,) = nbformat.read(tmp_path / "out" / path.name, 4).cells
    assert [output.text for output in cell.outputs] == ["at 2"]


def test_without_the_notebooks_reproduce_says_where_they_are(tmp_path, monkeypatch, fails):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "site-packages" / "notebooks")
    line = fails(1, "reproduce", "--out", str(tmp_path / "out"))
    assert "are not installed with the package. They are in the folder notebooks of its" in line
    assert line.endswith(f"Looked for in: {tmp_path}/site-packages/notebooks")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["nbconvert", "ipykernel"])
def test_without_what_runs_notebooks_reproduce_names_the_extra(missing, monkeypatch, fails):
    find = notebooks.importlib.util.find_spec
    monkeypatch.setattr(
        notebooks.importlib.util, "find_spec", lambda name: None if name == missing else find(name)
    )
    line = fails(1, "reproduce")
    assert f"takes {missing}, which can't be imported: pip install 'resbatch[notebooks]'" in line


def test_reproduce_writes_notebooks_pages_and_their_index(tmp_path, monkeypatch, capsys):
    cells = [nbformat.v4.new_markdown_cell("# A title"), nbformat.v4.new_code_cell("1 + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "short.ipynb")
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    assert main(["reproduce", "--out", str(tmp_path / "out")]) == 0
    names = "index.html", "short.ipynb", "short.html"
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Running short.ipynb", *(str(tmp_path / "out" / name) for name in names)]
    assert '<a href="short.html">A title</a>' in (tmp_path / "out" / "index.html").read_text()
