"""Comparisons and runs that were interrupted, and gone on with."""

import json
import os
import shutil
import signal

import pandas as pd
import pytest

from batch.data.checkpoint import Checkpoints
from research.cli import main
from research.page import report
from research.running import turns
from research.running.run import Run

SMALL = ["--iterations", "12", "--batch-size", "10", "--checkpoint-every", "4"]
COMPARE = ["compare", *SMALL, "--methods", "freezeout,autofreeze", "--seeds", "2"]
pytestmark = pytest.mark.usefixtures("module_of_small_networks")
COLUMNS = ["method", "seed", "iteration", "loss", "frozen"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(60) % 3
    path = tmp_path_factory.mktemp("data") / "colours.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    return str(path)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory, module_of_small_networks):
    """Results of a comparison that was not interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert main([*COMPARE, "--data", data, "--out", str(out)]) == 0
    return out


def at(monkeypatch, number, what):
    """Let something happen before so many iterations of all runs together are made."""
    iterate, made = Run._iterate, []

    def counted(self):
        made.append(self)
        if len(made) == number:
            what()
        iterate(self)

    monkeypatch.setattr(Run, "_iterate", counted)
    return made


def lost():
    raise SystemExit("killed")  # as a kill: nobody saves a checkpoint


def same(out, whole):
    ours, theirs = (pd.read_csv(folder / "results.csv")[COLUMNS] for folder in (out, whole))
    pd.testing.assert_frame_equal(ours, theirs)
    ours, theirs = (json.loads((folder / "experiment.json").read_text()) for folder in (out, whole))
    names = ("method", "seed", "accuracy", "mistakes")
    assert [[run.get(name) for name in names] for run in ours["runs"]] == [
        [run.get(name) for name in names] for run in theirs["runs"]
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in whole.iterdir()
    )


# Two iterations are made to warm up. The two runs of a seed take turns of ten: 10, 10, 2, 2.
@pytest.mark.parametrize(("number", "finished"), [(17, 0), (25, 1), (34, 2)])
def test_a_killed_comparison_goes_on_to_the_same_results(
    whole, data, tmp_path, monkeypatch, capsys, number, finished
):
    arguments = [*COMPARE, "--data", data, "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patched:
        at(patched, number, lost)
        with pytest.raises(SystemExit, match="killed"):
            main(arguments)
    assert len(list((tmp_path / "out.partial").glob("checkpoints/*.json"))) == finished
    with monkeypatch.context() as patched:
        made = at(patched, 0, None)
        assert main([*arguments, "--resume"]) == 0
    assert 2 + 48 - (number - 3) <= len(made) <= 2 + 48 - (number - 3) + 2 * 4
    same(tmp_path / "out", whole)
    capsys.readouterr()


def test_a_signal_loses_nothing(whole, data, tmp_path, monkeypatch, capsys):
    arguments = [*COMPARE, "--data", data, "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patched:
        at(patched, 20, lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert main(arguments) == 129
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        f"resbatch: interrupted by SIGHUP; what is done is kept: --out {tmp_path / 'out'} --resume "
        "goes on with it"
    )
    with monkeypatch.context() as patched:
        made = at(patched, 0, None)
        assert main([*arguments, "--resume"]) == 0
    assert len(made) == 2 + 48 - 18  # every iteration is made once
    same(tmp_path / "out", whole)
    assert main([*arguments, "--resume"]) == 0
    assert "is finished: nothing is left to do" in capsys.readouterr().out


def test_other_settings_are_refused_with_what_differs(whole, data, tmp_path, fails):
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    arguments = [*COMPARE[:-1], "3", "--data", data, "--out", str(out), "--resume"]
    line = fails(1, *arguments, "--t-0", "0.3")
    assert "of other settings: t_0 0.6 there, 0.3 here; seeds 0,1 there, 0,1,2 here" in line


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_goes_on_where_it_was(
    data, tmp_path, monkeypatch, capsys, number, status
):
    arguments = ["train", *SMALL[:-2], "--data", data, "--method", "freezeout"]
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patched:
        at(patched, 6, lambda: os.kill(os.getpid(), number))
        assert main([*arguments, "--out", str(tmp_path / "out")]) == status
    (kept,) = (tmp_path / "out.partial" / "checkpoints").iterdir()
    assert kept.name == "00000006"
    with monkeypatch.context() as patched:
        made = at(patched, 0, None)
        assert main([*arguments, "--out", str(tmp_path / "out"), "--resume"]) == 0
    assert len(made) == 6
    ours, theirs = (pd.read_csv(tmp_path / name / "results.csv") for name in ("out", "whole"))
    assert ours.loss.tolist() == theirs.loss.tolist()
    assert not (tmp_path / "out" / "checkpoints").exists()  # nobody asked for them
    capsys.readouterr()


def test_a_signal_after_the_last_iteration_loses_nothing(data, tmp_path, monkeypatch, capsys):
    arguments = ["train", *SMALL[:-2], "--data", data, "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patched:
        patched.setattr(report, "write_report", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert main(arguments) == 143
    with monkeypatch.context() as patched:
        made = at(patched, 0, None)
        assert main([*arguments, "--resume"]) == 0
    assert made == []
    assert len(pd.read_csv(tmp_path / "out" / "results.csv")) == 12
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == sorted(
        (".csv", ".html", ".json", ".jsonl", ".keras", ".png")
    )
    capsys.readouterr()


def test_a_foreign_folder_among_the_checkpoints_ends_no_run(data, tmp_path, monkeypatch, capsys):
    save = Checkpoints.save

    def beside(self, *arguments):
        (self.folder / "mine.partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "00000001.partial").mkdir(exist_ok=True)
        save(self, *arguments)

    monkeypatch.setattr(Checkpoints, "save", beside)
    out = tmp_path / "out"
    assert main(["train", *SMALL, "--data", data, "--out", str(out)]) == 0
    names = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert names == ["00000004", "00000008", "00000012", "mine.partial"]
    capsys.readouterr()


@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_page_that_cannot_be_drawn_leaves_the_results(
    data, tmp_path, monkeypatch, fails, capsys, command
):
    def fail(*_):
        raise RuntimeError("latex could not be found")

    out = tmp_path / "out"
    more = ["--methods", "classic", "--seeds", "1"] if command == "compare" else []
    with monkeypatch.context() as patched:
        patched.setattr(report, "write_report", fail)
        assert main([command, *SMALL, *more, "--data", data, "--out", str(out)]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"The results are in {out}, but not their page: RuntimeError: latex" in line
    assert not (out / "report.html").exists()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").exists()
    capsys.readouterr()


def test_a_full_disk_is_waited_for(data, tmp_path, monkeypatch, capsys):
    import errno

    from research.commands import writing
    from research.storage import results

    full, save = [1, 1], results.save

    def saved(*arguments, **more):
        if full and full.pop():
            raise OSError(errno.ENOSPC, "No space left on device", "results.csv")
        save(*arguments, **more)

    monkeypatch.setattr(results, "save", saved)
    monkeypatch.setattr(writing, "LOOK", 0.01)
    out = tmp_path / "out"
    assert main(["train", *SMALL, "--data", data, "--out", str(out)]) == 0
    assert capsys.readouterr().out.count(f"No room to write {out}: waiting until there is") == 1


def test_turns_are_of_ten_iterations():
    assert turns.TURN == 10  # which the numbers above count on


def test_seeds_are_added_to_a_finished_comparison(whole, data, tmp_path, monkeypatch, capsys):
    command = [*COMPARE, "--data", data, "--out", str(tmp_path / "out"), "--resume"]
    assert main([*command, "--seeds", "1"]) == 0
    first = pd.read_csv(tmp_path / "out" / "results.csv")
    shutil.copytree(tmp_path / "out", tmp_path / "zero")
    with monkeypatch.context() as patch:
        at(patch, 3, lost)
        with pytest.raises(SystemExit):
            main(command)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "results.csv"), first)
    made = at(monkeypatch, 0, lost)
    assert main(command) == 0
    assert {run.experiment.seed for run in made[2:]} == {1}  # after the run that is thrown away
    same(tmp_path / "out", whole)
    again = pd.read_csv(tmp_path / "out" / "results.csv")
    pd.testing.assert_frame_equal(again[again.seed == 0].reset_index(drop=True), first)
    assert not (tmp_path / "out.partial").exists()
    capsys.readouterr()
    assert main([*command, "--seeds", "1"]) == 1
    assert "seeds 0,1 there, 0 here" in capsys.readouterr().err
    other = [*COMPARE, "--seeds", "1-1", "--data", data, "--out", str(tmp_path / "one")]
    assert main(other) == 0
    folders = [str(tmp_path / name) for name in ("one", "zero")]
    assert main(["merge", *folders, "--out", str(tmp_path / "joined")]) == 0
    same(tmp_path / "joined", whole)
    assert main(["merge", folders[0], str(whole), "--out", str(tmp_path / "twice")]) == 1
    assert "both have seed 1" in capsys.readouterr().err
