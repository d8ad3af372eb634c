import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from research.reproducing.notebook_pages import picture, title, write_index, write_page

FIRST, SECOND = "aGVhZA==", "dGFpbA=="
HEAD = """# A *title*

Is it [so](https://arxiv.org/abs/1)? It may be. A third sentence.

**It needs** `much`. **It takes** long."""


def showing(*pngs, tags=()):
    outputs = [new_output("display_data", data={"image/png": png}) for png in pngs]
    return new_code_cell("f(" + "x, " * 80 + ")", outputs=outputs, metadata={"tags": [*tags]})


def made(*cells):
    return new_notebook(cells=[new_markdown_cell(HEAD), *cells])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([], ""),
        ([showing(FIRST), showing(SECOND)], SECOND),
        ([showing(FIRST, tags=["cover"]), showing(SECOND)], FIRST),
        ([showing(tags=["cover"]), showing(SECOND)], SECOND),
    ],
)
def test_a_notebook_has_its_tagged_picture_or_its_last(cells, expected):
    assert picture(made(*cells)) == expected


def test_a_page_fetches_nothing_and_cuts_no_line(tmp_path):
    path = tmp_path / "page.html"
    write_page(made(showing(FIRST, SECOND)), path)
    page = path.read_text()
    assert "<title>A title</title>" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "white-space: pre-wrap" in page
    assert [f'alt="Figure {number} of: A title"' in page for number in (1, 2, 3)] == [
        True,
        True,
        False,
    ]


def test_the_index_has_title_question_cost_and_picture(tmp_path):
    path = tmp_path / "index.html"
    write_index({"a.ipynb": made(showing(FIRST)), "b.ipynb": new_notebook()}, path)
    page = path.read_text()
    assert '<a href="a.html">A title</a>' in page
    assert "<p>Is it so? It may be.</p>" in page
    assert '<p>It needs much. It takes long. <a href="a.ipynb">a.ipynb</a></p>' in page
    assert f"data:image/png;base64,{FIRST}" in page
    assert page.count("<img") == 1
    assert '<a href="b.html">b.ipynb</a>' in page
    assert title(new_notebook()) == ""
