import errno
import io
import os
import subprocess
import sys

import pytest

from research import console
from research.running.callbacks import LogLine
from research.running.progress import Progress

COMMAND = f"set -o pipefail; {sys.executable} -m resbatch"
SIGNS = "α × −1 … ± – θ λ 雪 \udcff"


@pytest.fixture
def stream(monkeypatch):
    """A function that puts a stream of some encoding in standard output's place."""

    def make(encoding, raw=None):
        made = io.TextIOWrapper(raw or io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", made)
        return made

    return make


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", "alpha x -1 ... +/- - theta lambda ? ?"),
        ("cp1252", "alpha × -1 … ± – theta lambda ? ?"),
        ("latin-1", "alpha × -1 ... ± - theta lambda ? ?"),
        ("utf-8", "α × −1 … ± – θ λ 雪 ?"),
    ],
)
def test_signs_that_a_stream_lacks_are_written_plainly(stream, encoding, expected):
    made = stream(encoding)
    with console.standard_streams():
        console.say(SIGNS)
    assert made.buffer.getvalue().decode(encoding) == f"{expected}\n"


class Broken(io.RawIOBase):
    """A stream whose writes fail."""

    def __init__(self, error, descriptor):
        self.error, self.descriptor = error, descriptor

    def writable(self):
        return True

    def write(self, data):
        raise OSError(self.error, os.strerror(self.error))

    def fileno(self):
        return self.descriptor


@pytest.fixture
def broken(stream):
    """A function that puts a stream which fails with an error in standard output's place."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    yield lambda error: stream("utf-8", io.BufferedWriter(Broken(error, descriptor)))
    os.close(descriptor)


def test_a_run_goes_on_where_nobody_reads_its_lines(broken):
    made = broken(errno.EPIPE)
    console.say("first")
    os.write(made.fileno(), b"leads nowhere now, and can be written")
    made.buffer.raw.write = len
    console.say("second")


def test_a_full_stream_is_named(broken):
    made = broken(errno.ENOSPC)
    with console.standard_streams():
        console.say("text")
        console.say("more")
        assert str(console.LOST[0]) == "[Errno 28] No space left on device: 'stdout'"
        made.buffer.raw.write = len


def test_without_streams_there_are_no_lines(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(3) as progress:
        progress.restart()
        progress.count(1, "elsewhere")
    logs = {"eval": {}, "iteration": 1, "steps": 1, "steps_seconds": 1.0, "train_loss": 1.0}
    LogLine().on_test_end(None, logs)
    with console.standard_streams():
        console.say("text")
        assert sys.stdout.name == os.devnull


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ("compare --help 2>&- >&- <&-", {}),
        ("compare --help | head -1", {}),
        ("compare --help", {"PYTHONIOENCODING": "ascii", "COLUMNS": "1", "TZ": "No/Where"}),
        ("compare --help", {"PYTHONIOENCODING": "cp1252", "COLUMNS": "many", "HOME": "/proc"}),
        ("compare --help", {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}),
        ("compare --help", {"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "NO_COLOR": "1"}),
    ],
)
def test_help_is_there_in_any_environment(arguments, variables):
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} {arguments}"],
        env={**os.environ, **variables},
        capture_output=True,
        encoding="latin-1",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("usage:" in done.stdout) != ("&-" in arguments)
