import json
import os
import subprocess
import sys

import pytest

from research.storage import folders, locks
from research.storage.locks import LockedError, only_writer

# A process that claims a folder when it is told to, and holds it until the next line.
WRITER = """
import json, os, sys
sys.path.insert(0, os.getcwd())
from research.storage.folders import new_folder
print("ready", flush=True)
for line in sys.stdin:
    cwd, how = json.loads(line)
    os.chdir(cwd)
    try:
        with new_folder(kind="train", **how) as place:
            print(place.path, flush=True)
            (place.path / "log.jsonl").write_text("kept")
            sys.stdin.readline()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.stdin.readline()
    print("done", flush=True)
"""


class Writer:
    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", WRITER], cwd=os.getcwd(), **pipes)

    def write(self, line=""):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read(self):
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="module")
def writers():
    """Three processes that are ready to write."""
    made = [Writer() for _ in range(3)]
    assert [writer.read() for writer in made] == ["ready"] * 3
    yield made
    for writer in made:
        writer.process.kill()
        writer.process.communicate()


def at_once(writers, folder, **how):
    """What writers say that claim a folder at once, before any of them is done."""
    for writer in writers:
        writer.write(json.dumps([str(folder), {"out": None, **how}]))
    said = [writer.read() for writer in writers]
    for writer in writers:
        writer.write()
    assert [writer.read() for writer in writers] == ["done"] * len(writers)
    return said


def test_default_folders_of_runs_in_one_second_are_unique(writers, tmp_path):
    said = at_once(writers, tmp_path)
    assert len(set(said)) == 3
    assert all(folder.startswith("runs/train-") for folder in said)
    kept = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert kept == sorted(name.removeprefix("runs/").removesuffix(".partial") for name in said)


@pytest.mark.parametrize("how", [{}, {"overwrite": True}, {"resume": True}])
def test_of_runs_with_one_folder_all_but_one_are_told(writers, tmp_path, how):
    if how.get("overwrite"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "experiment.json").touch()
    said = at_once(writers, tmp_path, out="out", **how)
    assert said.count("out.partial") == 1
    told = "LockedError: Another run is writing out: wait for it, or choose another folder"
    assert said.count(told) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert (tmp_path / "out" / "log.jsonl").read_text() == "kept"


def test_a_killed_run_holds_no_lock(tmp_path, monkeypatch):
    writer = Writer()
    assert writer.read() == "ready"
    writer.write(json.dumps([str(tmp_path), {"out": "out", "resume": True}]))
    assert writer.read() == "out.partial"
    (tmp_path / "out.partial" / "checkpoints" / "00000010").mkdir(parents=True)
    writer.process.kill()
    writer.process.communicate()
    assert (tmp_path / ".out.lock").exists()
    monkeypatch.chdir(tmp_path)
    with folders.new_folder("out", "train", resume=True) as place:
        assert (place.path / "checkpoints" / "00000010").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_one_folder_by_two_paths_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    with (
        only_writer("a/out"),
        pytest.raises(LockedError, match=r"Another run is writing b/\.\./b/out"),
        only_writer("b/../b/out"),
    ):
        pass
    with only_writer("b/out"):  # it is free again
        pass
    assert not any((tmp_path / "a").iterdir())


def test_curves_of_two_runs_are_not_mixed(tmp_path, fails):
    events, arguments = tmp_path / "events", ["train", "--iterations", "2", "--batch-size", "20"]
    for more in ([], ["--overwrite"], ["--resume"]):
        with only_writer(events):
            line = fails(
                1, *arguments, *more, "--out", str(tmp_path / "out"), "--tensorboard", str(events)
            )
        assert f"Another run is writing {events}" in line
    assert not any(tmp_path.iterdir())


def test_data_are_packed_by_one_at_a_time(tmp_path, fails):
    with only_writer(tmp_path / "packed"):
        line = fails(1, "data", "digits", "--out", str(tmp_path / "packed"))
    assert "Another run is writing" in line


def test_a_lock_that_was_removed_is_made_again(tmp_path, monkeypatch):
    def lock_late(descriptor, original=locks._lock):
        (tmp_path / ".out.lock").unlink()  # by the one who held it until now
        monkeypatch.setattr(locks, "_lock", original)
        original(descriptor)

    monkeypatch.setattr(locks, "_lock", lock_late)
    with only_writer(tmp_path / "out"):
        assert (tmp_path / ".out.lock").exists()
        with pytest.raises(LockedError), only_writer(tmp_path / "out"):
            pass


def test_without_locks_a_folder_is_still_made_by_one_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    out = tmp_path / "out"
    with folders.new_folder(out, "train") as place:
        (place.path / "log.jsonl").write_text("kept")
        with (
            pytest.raises(folders.ResultsError, match="what an interrupted run left"),
            folders.new_folder(out, "train"),
        ):
            pass
    assert (out / "log.jsonl").read_text() == "kept"


def test_what_is_no_results_by_the_end_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    folder = folders.new_folder(out, "train", overwrite=True)
    (folder.__enter__().path / "experiment.json").touch()
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(folders.ResultsError, match="holds something else than results"):
        folder.__exit__(None, None, None)
    assert (out / "mine.txt").exists()
    assert (tmp_path / "out.partial" / "experiment.json").exists()
