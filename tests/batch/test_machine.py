import os

import pytest

from batch import machine


def write_group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"memory.{name}").write_text(f"{text}\n")


def test_free_memory_is_some_of_what_there_is():
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < machine.free_memory() < whole


@pytest.mark.parametrize(
    ("groups", "left"),
    [
        ("0::/job/step\n", [200, 50]),
        ("5:cpu,cpuacct:/a\n7:memory:/old\n", [7]),
        ("0::/none\n", []),
        ("0::/reads\n", [90]),
        ("7:memory:/reads\n", [80]),
    ],
)
def test_what_the_limits_of_control_groups_leave(tmp_path, groups, left):
    (tmp_path / "groups").write_text(groups)
    root = tmp_path / "root"
    write_group(root / "job", max=100, current=50)
    write_group(root / "job" / "step", max=500, current=300)
    write_group(root / "none", max="max", current=300)
    write_group(root / "memory" / "old", limit_in_bytes=10, usage_in_bytes=3)
    # What files take is given up when memory is needed.
    stat = "anon 10\ninactive_file 30\nactive_file 10"
    write_group(root / "reads", max=100, current=50, stat=stat)
    totals = "inactive_file 1\nactive_file 1\ntotal_inactive_file 20\ntotal_active_file 10"
    write_group(root / "memory" / "reads", limit_in_bytes=100, usage_in_bytes=50, stat=totals)
    assert machine._left_by_limits(tmp_path / "groups", root) == left


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert machine._left_by_limits(tmp_path / "none", tmp_path) == []


def test_a_limit_counts_if_it_is_less(monkeypatch):
    monkeypatch.setattr(machine, "_left_by_limits", lambda: [10**15, 5])
    assert machine.free_memory() == 5
