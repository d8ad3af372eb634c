import os
import pathlib
import shutil
import sys

import pytest

OPERATIONS = ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "open", "fsync")


@pytest.fixture(scope="session")
def faults():
    """The class `Faults` of the harness, which lies beside this file."""
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import kills

    yield kills
    sys.path.pop(0)


@pytest.fixture
def copies(monkeypatch, tmp_path_factory):
    """A function that does something, and copies a folder before every operation on a file.

    That is what a kill at this moment leaves.
    """

    def made(folder, what):
        into, copied, busy = tmp_path_factory.mktemp("copies"), [], []

        def before(operation):
            def noted(*arguments, **named):
                if not busy:
                    busy.append(True)
                    copied.append(into / f"{len(copied)}")
                    shutil.copytree(folder, copied[-1])
                    busy.clear()
                return operation(*arguments, **named)

            return noted

        with monkeypatch.context() as patched:
            for name in OPERATIONS:
                patched.setattr(os, name, before(getattr(os, name)))
            what()
        return copied

    return made
