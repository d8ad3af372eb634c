import errno
import os
import re

import numpy as np
import pytest

from batch.data.blk import read_blk, write_blk
from batch.data.history import History, read_histories, write_histories
from batch.files import remove_abandoned, replacing, write_text

WRITERS = {
    "text": lambda path: write_text(path, "α × −1\n"),
    "blk": lambda path: write_blk(path, np.arange(6)),
    "history": lambda path: write_histories([History("classic", 0, [1.5], [0.1], [0])], path),
}


def half_written(path, error):
    with replacing(path) as new:
        assert new.suffix == path.suffix
        new.write_text("half")
        raise error


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


@pytest.mark.parametrize("kind", ["file", "dangling", "loop", "hard"])
def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path, write, kind):
    (tmp_path / "run").mkdir()
    outside, inside = tmp_path / "outside", tmp_path / "run" / "file"
    if kind in ("file", "hard"):
        outside.write_text("precious")
    if kind == "hard":
        os.link(outside, inside)
    else:
        inside.symlink_to(inside if kind == "loop" else outside)
    write(inside)
    assert inside.is_file()
    assert not inside.is_symlink()
    assert outside.exists() == (kind in ("file", "hard"))
    assert not outside.exists() or outside.read_text() == "precious"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["file"]


def test_what_was_written_is_read_back(tmp_path):
    path = tmp_path / "file"
    WRITERS["text"](path)
    assert path.read_bytes() == "α × −1\n".encode()
    WRITERS["blk"](path)
    assert read_blk(path).tolist() == list(range(6))
    WRITERS["history"](path)
    assert read_histories(path)[0].loss.tolist() == [1.5]


def test_a_new_file_has_the_mode_that_others_have(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "")
        (tmp_path / "usual").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_text_that_no_file_can_hold_is_escaped(tmp_path):
    write_text(tmp_path / "page", os.fsdecode(b"run-\xff"))
    assert (tmp_path / "page").read_text() == r"run-\udcff"


def test_what_fails_leaves_the_old_file_and_names_it(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("old")
    for raised, named in (
        (OSError(errno.ENOSPC, "full"), "file.csv"),
        (OSError(errno.ENOENT, "missing", "other"), "other"),
        (KeyError("key"), "key"),
    ):
        with pytest.raises(type(raised), match=re.escape(named)):
            half_written(path, raised)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [
        ("file.csv", "old")
    ]
    with pytest.raises(FileNotFoundError, match="missing/file"):
        write_text(tmp_path / "missing" / "file", "")


def test_what_a_killed_process_was_about_to_write_is_removed(tmp_path):
    with replacing(tmp_path / "weights.keras") as new:
        names = (new.name, ".0123456789abcdef", ".notes.keras", "0123456789abcdef.csv")
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".fedcba9876543210.csv").symlink_to(tmp_path / names[2])
    remove_abandoned(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([*names[2:], ".fedcba9876543210.csv", "weights.keras"])
