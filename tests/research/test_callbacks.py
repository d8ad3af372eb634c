import io
import itertools
import sys

import pytest

from research.callbacks import Progress
from research.comparison import compare
from research.experiment import Experiment
from utils import History, load_data


class Run:
    """As much of a run as a bar looks at."""

    def __init__(self):
        self.history = History("classic", 1)

    def iterate(self, callback):
        self.history.append(0.25, 1.0, 0)
        callback.on_train_batch_end(self)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until `advance` is called."""

    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def test_a_log_file_has_a_line_at_once_and_then_now_and_then(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run = Run()
    with Progress(100) as progress:
        assert sys.stderr.getvalue().startswith("  0%|")
        for _ in range(100):
            clock.now += 1
            run.iterate(progress)
    lines = sys.stderr.getvalue().splitlines()
    assert "classic, seed 1:   1%|" in lines[1]
    assert " 1/100 [00:01<01:39," in lines[1]  # the time left, from the first second on
    steps = [int(line.split("/100")[0].split()[-1]) for line in lines]
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert steps[0] == 0
    assert steps[-1] == 100
    assert max(gaps) == 15
    assert gaps[:-1] == sorted(gaps[:-1])
    assert not any("\r" in line for line in lines)


def test_a_terminal_has_a_bar_that_is_drawn_again(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    run = Run()
    with Progress(4, made=2) as progress:
        clock.now += 1
        run.iterate(progress)
    assert " 2/4 [00:00<?" in sys.stderr.getvalue()
    assert " 3/4 [00:01<00:01" in sys.stderr.getvalue().rstrip("\n").split("\r")[-1]


def test_a_quiet_one_says_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress(4, quiet=True) as progress:
        progress.restart()
        Run().iterate(progress)
    assert sys.stderr.getvalue() == ""


def test_what_goes_before_the_first_iteration_is_not_in_the_time_left(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress(10) as progress:
        clock.now += 60
        progress.restart()
        clock.now += 1
        Run().iterate(progress)
    assert "1/10 [00:01<00:09," in sys.stderr.getvalue()


@pytest.mark.usefixtures("small_networks")
def test_a_comparison_shows_its_length_before_it_begins(capsys):
    named = {"a": Experiment(iterations=1, batch_size=10)}
    compare(named, [0], load_data("digits"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("digits: 1,347 + 450 images")
    assert "0/1 [" in lines[1]
    assert "1/1 [" in lines[-1]
