import pathlib

import nbformat
import pytest

from research.notebooks import NOTEBOOKS, NotebookError, run_notebooks

DEAR = ("freezeout", "freezing", "stochastic_depth")  # they train networks of the papers' size


STARTUP = """
import sys
import pytest
sys.path.append({folder!r})
import small_networks
from batch.networks.resnet import DEPTHS
small_networks.use(pytest.MonkeyPatch())
DEPTHS[50] = (1, 1), 3
"""


@pytest.fixture
def small_kernels(tmp_path, monkeypatch):
    """A function: in kernels that start from now on, networks are small."""

    def start_with_small_networks():
        folder = tmp_path / "ipython" / "profile_default" / "startup"
        folder.mkdir(parents=True)
        (folder / "00.py").write_text(STARTUP.format(folder=str(pathlib.Path(__file__).parent)))
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    return start_with_small_networks


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_committed_with_outputs_and_run(path, tmp_path, monkeypatch, small_kernels):
    committed = nbformat.read(path, 4)
    cells = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    monkeypatch.setenv("RESBATCH_ITERATIONS", "3")
    monkeypatch.setenv("RESBATCH_SEEDS", "1")
    monkeypatch.delenv("RESBATCH_DATA", raising=False)
    if path.stem in DEAR:
        small_kernels()
    written = run_notebooks(tmp_path, [path])
    assert written == [path.name, path.with_suffix(".html").name]
    assert (tmp_path / written[1]).stat().st_size > 10_000


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
