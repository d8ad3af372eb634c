import os
import sys

import pytest


@pytest.fixture(scope="module")
def faults():
    """The harness and the readers, which lie beside this file."""
    sys.path.insert(0, os.path.dirname(__file__))
    import mutations
    import readers

    yield mutations, readers
    sys.path.remove(os.path.dirname(__file__))


def test_damaged_files_of_every_kind_end_in_one_documented_line(faults, tmp_path):
    mutations, readers = faults
    readers.write_samples(tmp_path)
    (tmp_path / "whole").mkdir()
    for name, read in readers.READERS.items():
        path = tmp_path / "whole" / name
        path.write_bytes((tmp_path / name).read_bytes())
        read(path)
    assert mutations.soak(tmp_path, int(os.environ.get("FILES", 60))) == []
