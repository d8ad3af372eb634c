"""Executed notebooks as HTML pages that fetch nothing, and a page that leads to all of them."""

import pathlib
import re

from batch.files import write_text

HERE = pathlib.Path(__file__).parent
COVER = "cover"  # the tag of the cell whose picture stands for a notebook
UNDESCRIBED = "No description has been provided for this image"  # nbconvert's alternative text


def write_page(notebook, path):
    """Write an executed notebook as an HTML page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    path : pathlib.Path
    """
    from nbconvert import HTMLExporter

    notebook.metadata["title"] = title(notebook)
    exporter = HTMLExporter(template_file="notebook.html", extra_template_paths=[str(HERE)])
    page, _ = exporter.from_notebook_node(notebook)
    write_text(path, _with_descriptions(page, title(notebook)))


def write_index(notebooks, path):
    """Write a page with the title, the question, the cost and a picture of each notebook.

    Parameters
    ----------
    notebooks : dict from str to nbformat.NotebookNode
        Executed ones, by the name of their file.
    path : pathlib.Path
    """
    import jinja2

    source = (HERE / "notebooks.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(source)
    entries = [_entry(name, notebook) for name, notebook in notebooks.items()]
    write_text(path, template.render(entries=entries))


def title(notebook):
    """The heading of a notebook; empty if its first cell is none."""
    first = notebook.cells[0].source if notebook.cells else ""
    return _plain(first.split("\n")[0].removeprefix("# ")) if first.startswith("# ") else ""


def picture(notebook):
    """A PNG in base64: the first of the cell with the tag, or the notebook's last; else empty."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tagged = [cell for cell in cells if COVER in cell.metadata.get("tags", [])]
    pictures = [*map(_pictures, tagged), *map(_pictures, reversed(cells))]
    return next((some[0] for some in pictures if some), "")


def _entry(name, notebook):
    """What the index has of a notebook."""
    first = notebook.cells[0].source if notebook.cells else ""
    paragraphs = [text.strip() for text in first.split("\n\n")]
    prose = [text for text in paragraphs[1:] if re.match(r"[A-Z]", text)]
    cost = re.findall(r"\*\*It (?:needs|takes)\*\*.*?(?=[;.](?:\s|$))", first, re.DOTALL)
    return {
        "title": title(notebook) or name,
        "question": " ".join(re.split(r"(?<=[.?]) ", _plain(prose[0]))[:2]) if prose else "",
        "cost": " ".join(f"{_plain(sentence)}." for sentence in cost),
        "picture": picture(notebook),
        "page": pathlib.Path(name).with_suffix(".html").name,
        "notebook": name,
    }


def _pictures(cell):
    data = [output.get("data", {}) for output in cell.outputs]
    return [own["image/png"] for own in data if "image/png" in own]


def _plain(markdown):
    """A paragraph without the marks of Markdown."""
    without_links = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(markdown.split()))
    return re.sub(r"[*`]", "", without_links)


def _with_descriptions(page, heading):
    """The page, on which pictures have the words of a figure for those who can't see them."""
    before, *others = page.split(UNDESCRIBED)
    alts = [f"Figure {number} of: {heading}" for number in range(1, len(others) + 1)]
    return before + "".join(alt + after for alt, after in zip(alts, others))
