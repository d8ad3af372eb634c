import json
import os
import pathlib

import pandas as pd
import pytest

from research.cli import main
from research.running.metrics import read_metrics
from research.running.run import Run

HALVING = """
from research import Method


def config(experiment, blocks):
    part = max(1, experiment.iterations // 4)

    def schedule(iteration):
        rate = experiment.learning_rate * 0.5 ** (iteration // part)
        return [rate if iteration < 2 * part or block else 0 for block in range(blocks)]

    return {"schedule": schedule}


HALVING = Method("halving", config, baseline="classic", options={})
DROPPING = Method("dropping", config, action="train_stochastic", iterations=lambda *_: 3)
"""
TINY = ["--model", "wideresnet", "--depth", "10", "--widen-factor", "1", "--batch-size", "10"]


@pytest.fixture
def own(own_folder):
    """A function that writes the file mine.py, in what is the current folder then."""

    def write(text=HALVING, name="mine.py"):
        (own_folder / name).parent.mkdir(exist_ok=True)
        (own_folder / name).write_text(text)

    write()
    return write


def test_a_comparison_with_a_method_from_a_file(own, colours, capsys):
    arguments = ["--methods", "classic,mine.py:HALVING", "--data", colours, *TINY]
    assert main(["compare", *arguments, "--iterations", "8", "--seeds", "2", "--out", "out"]) == 0
    assert "halving against classic:" in capsys.readouterr().out
    rows = pd.read_csv("out/results.csv").set_index(["method", "seed"])
    assert rows.loc[("halving", 0), "frozen"].tolist() == [0] * 4 + [1] * 4
    assert rows.loc[("halving", 1), "loss"].iloc[0] == rows.loc[("classic", 1), "loss"].iloc[0]
    record = json.loads(pathlib.Path("out/experiment.json").read_text())
    assert record["settings"]["methods"] == ["classic", "mine.py:HALVING"]
    assert record["methods"]["halving"]["baseline"] == "classic"
    assert 0.8 < record["predicted_ratio"]["halving"] < 1
    before = pathlib.Path("out/summary.csv").read_text()
    assert before.splitlines()[2].startswith("halving,2,")

    os.remove("mine.py")  # a report needs no file of theirs
    assert main(["report", "out"]) == 0
    assert "halving against classic:" in capsys.readouterr().out
    assert "halving against classic:" in pathlib.Path("out/report.html").read_text()
    assert main(["report", "out", "--out", "again"]) == 0
    assert pathlib.Path("again/summary.csv").read_text() == before
    settings = json.loads(pathlib.Path("again/experiment.json").read_text())["settings"]
    assert settings["methods"] == ["classic", "mine.py:HALVING"]


def test_a_run_of_a_method_from_a_module_is_resumed(own, colours, fails, monkeypatch):
    own(name="own_methods_of_mine/halving.py")
    arguments = ["train", "--method", "own_methods_of_mine.halving:HALVING", "--data", colours]
    arguments += [*TINY, "--iterations", "8", "--checkpoint-every", "3"]
    assert main([*arguments, "--dry-run"]) == 0
    assert main([*arguments, "--out", "whole"]) == 0
    iterate = Run._iterate

    def crash(self):
        if len(self.history) == 5:
            raise RuntimeError("power cut")
        iterate(self)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_iterate", crash)
        assert main([*arguments, "--out", "out"]) == 1
    own(HALVING + "# changed\n", name="own_methods_of_mine/halving.py")
    line = fails(1, *arguments, "--out", "out", "--resume")
    assert "out is of other settings: method_files halving " in line
    own(name="own_methods_of_mine/halving.py")
    assert main([*arguments, "--out", "out", "--resume"]) == 0
    ours, theirs = (pd.read_csv(f"{name}/results.csv") for name in ("out", "whole"))
    assert ours[["loss", "frozen"]].equals(theirs[["loss", "frozen"]])
    (log,) = (path for path in os.listdir("out") if path.endswith(".jsonl"))
    assert log == "wideresnet_w1L10_halving_seed0_iterations8_colours_log.jsonl"
    assert read_metrics(f"out/{log}")


SCHEDULE = "        rate = experiment.learning_rate * 0.5 ** (iteration // part)"
RETURN = '    return {"schedule": schedule}'


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        (RETURN, "    return {}['rate']", "mine.py:12: halving: KeyError: 'rate'"),
        (RETURN, "    return schedule", "mine.py:5: halving: TypeError: config must give a dict"),
        (RETURN, "    return {'rates': 1}", "mine.py:5: halving: ValueError: Unknown key in the"),
        (RETURN, "    return {'optimizer': 'Adamm'}", "mine.py:5: halving: ValueError: optimizer"),
        (RETURN, "    return {'schedule': 1}", "mine.py:5: halving: ValueError: schedule must be"),
        (SCHEDULE, "        return [0.1] * 7", "must give 4 rates, one for each block"),
        (
            SCHEDULE,
            "        return [0.1] * (4 - iteration // 7)",
            "at iteration 7: [0.1 0.1",
        ),
        (SCHEDULE, "        rate = 1 / (5 - iteration)", "mine.py:9: halving: ZeroDivisionError"),
    ],
)
def test_a_mistake_in_a_method_is_one_line(own, colours, fails, line, instead, message):
    own(HALVING.replace(line, instead))
    arguments = ["--method", "mine.py:HALVING", "--data", colours, *TINY, "--iterations", "8"]
    assert message in fails(1, "train", *arguments, "--dry-run")


def test_a_mistake_that_training_meets_is_the_last_line(own, colours, capsys):
    text = HALVING.replace('{"schedule": schedule}', '{"schedule": Watching(blocks)}')
    text += """

class Watching:
    def __init__(self, blocks):
        self.blocks = blocks

    def __call__(self, iteration):
        return [0.1] * self.blocks

    def observe(self, iteration, norms):
        if iteration == 2:
            raise RuntimeError("watched too closely")

    def get_state(self):
        return {}

    def set_state(self, state):
        pass
"""
    own(text)
    arguments = ["--method", "mine.py:HALVING", "--data", colours, *TINY, "--iterations", "4"]
    assert main(["train", *arguments, "--out", "out"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "resbatch: mine.py:28: halving: RuntimeError: watched too closely"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--method", "other.py:HALVING"], "there is no file other.py"),
        (["train", "--method", "mine.py:HALF"], "must be a Method, and is not there"),
        (["compare", "--methods", "classic,mine.py:config"], "and is a function"),
        (["compare", "--methods", "mine.py:HALVING,mine.py:HALVING"], "different names"),
        (["train", "--method", "mine.py:DROPPING", "--model", "vgg"], "nothing dropping"),
        (["compare", "--methods", "mine.py:DROPPING", "--equal-time"], "and so does dropping"),
        (["compare", "--methods", "nowhere.mine:HALVING"], "there is no module nowhere"),
    ],
)
def test_wrong_usage_of_a_file_is_status_2(own, fails, arguments, message):
    assert message in fails(2, *arguments)
