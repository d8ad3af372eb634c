"""The page of a comparison, a study or a run: one HTML file that needs no network.

It begins with the answer. Whatever the files of a folder say is escaped, and its content policy
lets no script run but its own, which sorts tables and which the page can do without.
"""

import base64
import dataclasses
import hashlib
import pathlib

import jinja2

from research.figures.svg import css

HEADINGS = {  # of its sections, after the answer
    "figures": "Figures",
    "results": "Tables",
    "mistakes": "The worst mistakes",
    "methods": "The methods",
    "data": "The data",
    "settings": "Settings",
    "machine": "Versions and machine",
    "repeat": "How to repeat it",
}


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    caption : str
    columns : sequence of str
    rows : sequence of sequence of str
        The first cell of each is its head.
    note : str
        What stands below it.
    kind : {'', 'facts'}
        Numbers, or texts.
    """

    caption: str
    columns: list
    rows: list
    note: str = ""
    kind: str = ""


def render(answer, tables, **content):
    """The text of the page; sections without content are left out.

    Parameters
    ----------
    answer : research.page.answer.Answer
    tables : dict from str to list of Table
        By the names of their sections, in `HEADINGS`.
    **content
        The `title` and what the page is `about`; `figures`, `wrong`, `data` and `repeat`, as the
        template has them.
    """
    style, script = (_file(name) for name in ("page.css", "page.js"))
    filled = {
        **{name: any(own) for name, own in tables.items()},
        **{"figures": content["figures"], "mistakes": content["wrong"]},
        **{"data": content["data"], "repeat": content["repeat"]},
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_file("page.html")).render(
        answer=answer,
        contents=[(name, heading) for name, heading in HEADINGS.items() if filled.get(name)],
        tables=_numbered(tables),
        colours=css(),
        style=style,
        script=script,
        script_hash=f"sha256-{_digest(chr(10) + script)}",
        **content,
    )


def _numbered(tables):
    """The tables of each section, each with a number that no other has."""
    numbers = iter(range(1, 1 + sum(map(len, tables.values()))))
    return {name: [(next(numbers), table) for table in tables.get(name, ())] for name in HEADINGS}


def _digest(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _file(name):
    return pathlib.Path(__file__).with_name(name).read_text(encoding="utf-8")
