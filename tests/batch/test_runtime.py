import os
import subprocess
import sys

import pytest

from batch import runtime


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"memory.{name}").write_text(f"{text}\n")


def test_free_memory_is_some_of_what_there_is():
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < runtime.free_memory() < whole


@pytest.mark.parametrize(
    ("told", "left"),
    [("0::/job/step\n", [200, 50]), ("5:cpu,cpuacct:/a\n7:memory:/old\n", [7]), ("0::/none\n", [])],
)
def test_what_the_limits_of_control_groups_leave(tmp_path, told, left):
    (tmp_path / "told").write_text(told)
    root = tmp_path / "root"
    group(root / "job", max=100, current=50)
    group(root / "job" / "step", max=500, current=300)
    group(root / "none", max="max", current=300)
    group(root / "memory" / "old", limit_in_bytes=10, usage_in_bytes=3)
    assert runtime._left_by_limits(tmp_path / "told", root) == left


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert runtime._left_by_limits(tmp_path / "none", tmp_path) == []


def test_a_limit_counts_if_it_is_less(monkeypatch):
    monkeypatch.setattr(runtime, "_left_by_limits", lambda: [10**15, 5])
    assert runtime.free_memory() == 5


@pytest.mark.parametrize(("given", "told"), [(None, "1"), ("0", "0")])
def test_onednn_is_switched_on_before_tensorflow_starts_unless_it_was_set(
    tmp_path, monkeypatch, given, told
):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if given:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    # In TensorFlow's place, for what the variable says at that moment.
    stand_in = "import os\nprint(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))\nraise SystemExit"
    (tmp_path / "tensorflow.py").write_text(stand_in)
    done = subprocess.run(
        [sys.executable, "-c", "from batch import TFModel"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{told}\n")
