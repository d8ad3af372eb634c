import io
import os
import zipfile

import numpy as np
import pytest

from batch.archives import ArchiveError, read_arrays
from batch.files import from_json, read_text
from utils import load_data


def npy(shape, descr="<f4", data=b"\0" * 16):
    header = io.BytesIO()
    entries = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, entries)
    return header.getvalue() + data


def packed(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def link():
    info = zipfile.ZipInfo("x.npy")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


FORGED = {
    "shape": ({"x.npy": npy((10**12,))}, "declares 4,000,000,000,000 bytes, and has 16"),
    "negative": ({"x.npy": npy((-4, -1))}, "no plain array"),
    "nothing": ({"x.npy": npy((2**60,), "|V0", b"")}, "no plain array"),
    "objects": ({"x.npy": npy((2,), "|O")}, "no plain array"),
    "version": ({"x.npy": b"\x93NUMPY\x09\x00" + b" " * 64}, "header of another version"),
    "junk": ({"x.npy": b"junk"}, "magic string"),
    "above": ({"../x.npy": npy((4,))}, "leads elsewhere"),
    "absolute": ({"/x.npy": npy((4,))}, "leads elsewhere"),
    "link": ({link(): "/etc/hostname"}, "leads elsewhere"),
}


@pytest.mark.parametrize("case", FORGED)
def test_what_an_archive_declares_is_checked_before_it_is_read(tmp_path, case):
    members, reason = FORGED[case]
    with pytest.raises(ArchiveError, match=reason):
        read_arrays(packed(tmp_path / "a.npz", members))


def test_what_expands_too_far_or_is_no_file_is_refused(tmp_path, monkeypatch):
    content = b"\0" * (3 * 10**8)
    bomb = packed(tmp_path / "a.npz", {"x.npy": content}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ArchiveError, match=r"declares 300 MB in a file of 0\.29"):
        read_arrays(bomb)
    np.savez(bomb, x=np.zeros(1000))
    monkeypatch.setattr("batch.files.free_memory", lambda: 1000)
    with pytest.raises(ArchiveError, match=r"takes 0\.0 GB of memory, and 0\.0 GB are free"):
        read_arrays(bomb)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArchiveError, match="is no regular file"):
        read_arrays(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is no regular file"):
        read_text(tmp_path / "pipe")


def test_arrays_come_back(tmp_path):
    arrays = {"x": np.asfortranarray(np.ones((2, 3))), "y": np.array("text"), "z": np.zeros((0, 2))}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    for name, value in read_arrays(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(value, arrays[name])
        assert value.flags.writeable


def test_a_data_set_is_refused_by_its_own_error(tmp_path):
    names = ("x_train", "y_train", "x_test", "y_test")
    path = packed(tmp_path / "a.npz", {f"{name}.npy": npy((10**12,)) for name in names})
    with pytest.raises(ValueError, match=r"a\.npz is no whole \.npz of plain arrays: .* declares"):
        load_data(path)


@pytest.mark.parametrize("text", ["[" * 300 + "]" * 300, "[" * 100_000, '{"a":' * 10**5])
def test_deep_json_is_refused(text):
    with pytest.raises(ValueError, match=r"goes deeper than 200 lists"):
        from_json(text)
