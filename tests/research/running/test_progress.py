"""What is shown while runs go on."""

import io
import itertools
import sys

import pytest

from research.experiments.experiment import Experiment
from research.running import progress as shown
from research.running.comparison import compare
from research.running.progress import Progress
from utils import History, load_data


class Run:
    """As much of a run as a bar looks at."""

    def __init__(self, method="classic", iterations=10):
        self.history = History(method, 1)
        self.experiment = Experiment(iterations=iterations, batch_size=50)

    def iterate(self, callback, frozen=0):
        self.history.append(0.25, 1.0, frozen)
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


def test_a_terminal_has_a_bar_of_all_runs_and_one_of_the_run_that_trains(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    runs = [Run("classic"), Run("freezeout")]
    with Progress(20, runs=2) as progress:
        for run, frozen in ((runs[0], 0), (runs[1], 2), (runs[0], 0)):
            for _ in range(2):
                clock.now += 1
                run.iterate(progress, frozen)
            progress.on_test_end(run, {"eval": {"accuracy": 0.987}})
    drawn = sys.stderr.getvalue()
    assert "all runs:  30%|" in drawn
    assert " 6/20 [00:06<00:14," in drawn
    assert "freezeout, seed 1:  20%|" in drawn
    assert "loss=0.250, images/s=50, frozen=2]" in drawn
    assert " 2/10 [" in drawn
    assert " 4/10 [" in drawn  # of the first one, when its turn comes again
    assert "accuracy=98.7 %" in drawn


def test_a_log_file_has_lines_of_all_runs_alone(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run = Run("freezeout")
    with Progress(20, runs=2) as progress:
        clock.now += 1
        run.iterate(progress, frozen=3)
    lines = sys.stderr.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("freezeout, seed 1:   5%|")
    assert lines[1].endswith("loss=0.250, images/s=50, frozen=3]")


def test_a_notebook_has_widgets(monkeypatch):
    from tqdm.notebook import tqdm_notebook

    made = []

    class Widget(tqdm_notebook):
        def __init__(self, **options):
            made.append(options)
            super(tqdm_notebook, self).__init__(**{**options, "disable": True})

    monkeypatch.setattr("tqdm.auto.tqdm", Widget)
    with Progress(4, runs=2) as progress:
        Run().iterate(progress)
    assert [options["total"] for options in made] == [4, 10]


def test_without_evaluations_there_is_no_accuracy():
    run = Run()
    run.history.append(0.5, 0.0, 0)
    assert shown._figures(run, None) == {"loss": "0.500"}
