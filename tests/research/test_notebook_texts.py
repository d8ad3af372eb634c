import re

import nbformat
import pytest

from research.reproducing.notebook_pages import picture
from research.reproducing.notebooks import NOTEBOOKS

MEASURED = re.compile(
    r"\d[\d.,]*\s?(?:%|(?:points?|s|ms|MB|seconds|times)\b)|[−+]\d+\.\d|\d ± \d"
)  # numbers that a run may change
COST = "**It needs**"
PLACE = re.compile(r"(?<![\w:/.<])/[\w.-]+/|site-packages")  # an absolute path, of any machine


@pytest.fixture(params=sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, 4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_begins_with_what_it_needs_and_parameters(notebook):
    first, second = notebook.cells[:2]
    needs = first.source.split(COST)[1]
    assert "resbatch" in first.source.lower()
    assert "pip install -e '.[notebooks" in needs
    assert "**It takes**" in needs
    assert second.metadata.tags == ["parameters"]
    names = re.findall(r"^([A-Z_]+) = ", second.source, re.MULTILINE)
    assert {"FIRST_SEED"} < set(names)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code(notebook)) == 1


def test_it_was_run_from_top_to_bottom(notebook):
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    pictures = [
        output.data.pop("image/png")
        for output in outputs
        if "data" in output and "image/png" in output.data
    ]
    assert pictures
    assert not PLACE.findall(str(outputs))


def test_only_cells_say_what_was_measured(notebook):
    texts = [
        re.sub(r"`[^`]*`", "", cell.source.split(COST)[0])
        for cell in notebook.cells
        if cell.cell_type == "markdown" and "published" not in cell.metadata.get("tags", [])
    ]
    assert not [text for text in texts if MEASURED.search(text)]
    assert not [text for text in texts if "$" in text]  # a page has no program for formulas
    together = str(code(notebook)[-1].outputs)
    assert "minutes on" in together
    assert "Times are this machine's." in together


def test_it_has_a_picture_for_the_index(notebook):
    tagged = [cell for cell in code(notebook) if "cover" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert picture(notebook) == next(
        output.data["image/png"]
        for output in tagged[0].outputs
        if "image/png" in output.get("data", {})
    )
