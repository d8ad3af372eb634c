import json

import numpy as np
import pandas as pd
import pytest

from research.benchmarks import growth, suites, wide
from research.benchmarks.harness import Part, compared
from research.names import SUITES
from research.storage.results import ResultsError


@pytest.fixture
def toys(monkeypatch):
    """Parts of two suites that only note their names; a name in `ending` ends the benchmark."""
    ending, calls = [], []

    def part(name, seconds):
        def measure(repetitions, batch_size):
            calls.append((name, repetitions, batch_size))
            if name in ending:
                raise KeyboardInterrupt
            return [compared(name, np.ones(2), peer, np.ones(2)) for peer in "ab"]

        return Part(name, measure, 0, seconds)

    monkeypatch.setattr(growth, "parts", lambda _: [part("one", 60), part("two", 60)])
    monkeypatch.setattr(wide, "parts", lambda _: [part("three", 120)])
    monkeypatch.setattr(suites._Suites, "_slowness", lambda self: self.record.slowness() or 2)
    return ending, calls


def run(folder, repetitions=1, resume=False, names=("growth", "wide"), **more):
    suites.run_suites(names, folder, repetitions=repetitions, batch_size=300, resume=resume, **more)


def test_one_table_of_all_suites(toys, tmp_path, capsys):
    run(tmp_path)
    written = pd.read_csv(tmp_path / "bench.csv")
    assert written["suite"].tolist() == ["growth"] * 4 + ["wide"] * 2
    assert written["what"].tolist() == ["one", "one", "two", "two", "three", "three"]
    assert written["ratio"].tolist() == [1.0] * 6
    assert {"processor", "tensorflow", "torch", "jax"} <= set(written.columns)
    told, _, head, rule, *lines = (tmp_path / "bench.md").read_text().splitlines()
    assert told.startswith("Measured in turn on processor ")
    assert head.count("|") == rule.count("|") == lines[0].count("|") == 11
    assert lines[4].startswith("| wide | three | 1 | a | 1 | s | 1.000 |")
    assert "Against the same network in PyTorch" in capsys.readouterr().out


def test_a_benchmark_that_was_killed_goes_on(toys, tmp_path, capsys):
    ending, calls = toys
    ending.append("two")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert pd.read_csv(tmp_path / "bench.csv")["what"].tolist() == ["one", "one"]
    assert (tmp_path / "bench.md").read_text().count("| one |") == 2
    ending.clear()
    run(tmp_path, resume=True)
    assert [name for name, *_ in calls] == ["one", "two", "two", "three"]
    assert pd.read_csv(tmp_path / "bench.csv")["what"].tolist()[::2] == ["one", "two", "three"]
    calls.clear()
    run(tmp_path, resume=True)
    assert not calls
    assert "wide: measured already." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repetitions": 2}, "measured with repetitions 1. Received: repetitions 2"),
        ({"names": ("growth",)}, "measured with suites growth wide. Received: suites growth"),
        ({"quick": True}, "measured with quick False. Received: quick True"),
        ({"processor": "Z80"}, "with processor .*. Received: processor Z80"),
        ({"jax": "0.0.1"}, "with jax .*. Received: jax 0.0.1"),
    ],
)
def test_other_options_or_machines_are_refused(toys, tmp_path, monkeypatch, changes, message):
    run(tmp_path)
    before = (tmp_path / "bench.json").read_text()
    machine = suites._machine(1)
    elsewhere = {name: changes.pop(name) for name in list(changes) if name in machine}
    toys[1].clear()
    usual = suites._machine
    monkeypatch.setattr(suites, "_machine", lambda threads: usual(threads) | elsewhere)
    with pytest.raises(ResultsError, match=message) as refusal:
        run(tmp_path, resume=True, **changes)
    assert str(tmp_path) in str(refusal.value)
    assert not toys[1]
    assert (tmp_path / "bench.json").read_text() == before


@pytest.mark.parametrize(
    "text", ["", "{}", '{"identity": 3, "parts": []}', '{"identity": {}, "parts": [{}]}', "[]"]
)
def test_a_broken_record_is_refused(toys, tmp_path, text):
    (tmp_path / "bench.json").write_text(text)
    with pytest.raises(ResultsError, match=r"bench.json holds no benchmark to resume: "):
        run(tmp_path, resume=True)
    assert (tmp_path / "bench.json").read_text() == text


def test_a_suite_says_how_long_it_will_take(toys, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suites.time, "perf_counter", iter(range(0, 10_000, 360)).__next__)
    run(tmp_path)
    said = capsys.readouterr().out
    assert "All of it: about 8 min." in said  # twice as slow
    assert "growth: about 4 min." in said
    # Parts that should take 2 minutes took 12.
    assert "wide: about 12 min." in said
    parts = json.loads((tmp_path / "bench.json").read_text())["parts"]
    assert [part["seconds"] for part in parts] == [360] * 3
    assert [part["expected"] for part in parts] == [60, 60, 120]


def test_how_long_a_part_takes():
    def seconds(repetitions, batch_size=300, **how):
        return Part("a", list, 10, 2, **how).seconds(repetitions, batch_size)

    assert seconds(5) == 10 + 2 * 5
    assert seconds(5, 600) == 10 + 4 * 5
    assert seconds(50, steps=20) == 10 + 2 * 20 * (5 + 1)
    assert seconds(200, steps=20) == 10 + 2 * 20 * (10 + 1)
    assert seconds(50, 9, most=3) == 10 + 2 * 3


def test_a_first_table_has_all_suites_in_ten_minutes():
    import importlib

    modules = [importlib.import_module(f"research.benchmarks.{name}") for name in SUITES]
    quick, whole = (
        {module: sum(part.seconds(count, 300) for part in module.parts(few)) for module in modules}
        for few, count in ((True, suites.QUICK), (False, suites.REPETITIONS))
    )
    assert sum(quick.values()) < 630
    assert all(0 < quick[module] < whole[module] for module in modules)
