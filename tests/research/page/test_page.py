"""What a page holds, and what it leaves out; `test_in_browser.py` looks at it as people do."""

import base64
import hashlib
import re

import pytest

from research.methods import METHODS
from research.page import HEADINGS, Table, render
from research.page.answer import Answer
from research.page.settings import method_table, setting_tables

KINDS = ["six", "single", "one_seed", "study", "unmatched", "hostile"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_stands_alone_and_begins_with_the_answer(pages, kind):
    page = pages(kind).read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org/1999/xlink\")", page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert page.index("</h2>") < page.index('<p class="lead">') < page.index("<nav")
    assert page.index("<nav") < min(page.index("<svg"), page.index("<table"))
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href|xlink:href)="#([^"]*)"', page)) <= set(ids)
    assert page.count("<table") == page.count("<caption") == page.count("<thead>")
    assert page.count("<th ") == page.count('<th scope="')
    assert ">nan<" not in page


def test_the_one_script_is_that_of_the_policy(pages):
    page = pages("hostile").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src" in page
    assert page.count("<script") == 1


def test_what_the_files_say_is_escaped(pages):
    page = pages("hostile").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;/script&gt;&lt;script&gt;window.hit = 1" in page
    assert "{{ 7 * 7 }}" in page


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("six", []),
        ("single", ["differ</caption>", "time / baseline", "Difference: to the matched baseline"]),
        ("study", ['<th scope="row">–']),
        ("unmatched", ["How to repeat it", "time / baseline"]),
    ],
)
def test_sections_and_columns_without_content_are_left_out(pages, kind, missing):
    page = pages(kind).read_text(encoding="utf-8")
    assert [text for text in missing if text in page] == []


def test_an_empty_page_has_no_section_but_the_answer():
    empty = dict.fromkeys(("figures", "wrong", "data"), ())
    page = render(Answer("A", "B", [], []), {}, title="T", about="", repeat=None, **empty)
    assert page.count("<section") == 1
    page = render(
        Answer("A", "B", [], []),
        {"machine": [Table("C", ("a",), [("b",)])]},
        **{"title": "T", "about": "", "repeat": None, **empty},
    )
    assert re.findall(r'<h2 id="([^"]*)"', page) == ["verdict", "machine"]
    assert [*HEADINGS][-1] == "repeat"


def test_settings_in_force_are_parted_into_shared_and_differing():
    own = {"network": {"name": "resnet", "depth": 3}, "weight_decay": 0.0, "augment": False}
    first, second = (
        {**own, "optimizer": {"name": "SGD", "momentum": momentum}} for momentum in (0.8, 0.9)
    )
    second["normalize"] = {"mean": [0.123456789, 1.0]}
    record = {
        "settings": {"command": "compare", "milestones": [0.3, 0.6]},
        "in_force": {"a": first, "b": second},
    }
    shared, differing, asked = setting_tables(record)
    assert shared.rows == [
        *(("network", "resnet"), ("network: depth", "3"), ("weight decay", "0")),
        *(("augment", "no"), ("optimizer", "SGD")),
    ]
    assert differing.columns == ("setting", "a", "b")
    assert differing.rows == [
        ("optimizer: momentum", "0.8", "0.9"),
        ("normalize: mean", "–", "0.123457, 1"),
    ]
    assert asked.rows == [("command", "compare"), ("milestones", "0.3, 0.6")]
    many = {**record, "in_force": {str(number): {"x": number} for number in range(7)}}
    turned, _ = setting_tables(many)
    assert turned.columns == ("setting", "x")
    assert turned.rows[2] == ("2", "2")
    assert setting_tables({"settings": {"command": "train"}})[0].rows == [("command", "train")]


def test_every_method_of_ours_says_what_it_is():
    facts = {"method": None, "baseline": None, "action": None, "options": []}
    (table,) = method_table({f"{name} x": {**facts, "method": name} for name in METHODS})
    assert [row[0] for row in table.rows] == list(METHODS)
    assert all(len(row[1]) > 20 for row in table.rows)
    own = {**facts, "method": "mine.py:HALVING", "sha256": "ab"}
    (table,) = method_table({"halving": own, "other": facts})
    assert table.rows == [("halving", "a method of mine.py:HALVING", "SHA-256 ab")]
    assert method_table({"other": facts}) == []
