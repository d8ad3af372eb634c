"""Commands in processes of their own, with faults, and what they leave."""

import contextlib
import dataclasses
import multiprocessing
import pathlib
import runpy
import subprocess

CHILD = str(pathlib.Path(__file__).with_name("child.py"))
WARM_UP = "2"  # iterations of a run, which is thrown away
LIMIT = 600  # seconds for a command
IMPORTED = (  # once, in the process that all of them are forked from; it runs no operation
    *("batch.res_batch", "research.running.comparison", "research.experiments.prediction"),
    *("research.page.report", "research.commands", "research.running.run", "sklearn"),
    "research.running.turns",
)


@dataclasses.dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes
    ----------
    status : int
        Its exit status; below 0, the signal that killed it. None if it had to be stopped.
    out, err : str
        What it printed.
    moments : list of (str, float, str)
        Kind, time in seconds, and name of each, as `child.py` notes them.
    """

    status: int | None
    out: str
    err: str
    moments: list

    def count(self, kind):
        """How many moments of a kind there were; of iterations, but those to warm up."""
        return sum(each == kind and name != WARM_UP for each, _, name in self.moments)

    @property
    def seconds(self):
        """From the first iteration to the last moment."""
        times = [seconds for _, seconds, _ in self.moments]
        first = [seconds for kind, seconds, _ in self.moments if kind == "iteration"]
        return times[-1] - first[0] if first else 0.0

    @property
    def errors(self):
        """The lines on standard error that are no progress and no warning."""
        return [
            line for line in self.err.splitlines() if line.startswith(("resbatch", "Traceback"))
        ]


def start(arguments, folder, fault=None):
    """Run a command to its end, or to its fault; what it writes is in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = folder.with_name(f"{folder.name}.notes")
    notes.unlink(missing_ok=True)
    given = {"arguments": arguments, "fault": fault, "folder": str(folder), "notes": str(notes)}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    process = context.Process(target=runpy.run_path, args=(CHILD, given, "child"))
    process.start()
    process.join(LIMIT)
    status = process.exitcode
    if status is None:
        process.kill()
        process.join()
    files = [notes.with_name(notes.name + end) for end in (".out", ".err")]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return Ended(status, *texts, _read(notes))


def _read(notes):
    lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    parts = [line.split(" ", 2) for line in lines]
    return [(kind, float(seconds), name) for kind, seconds, name in parts]


@contextlib.contextmanager
def small_disk(folder, size):
    """Within this context, a folder is a file system of so many bytes, until `make_room`."""
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def make_room(folder):
    """Let that file system have 64 MiB."""
    _mount("-o", "remount,size=64m", folder)


def may_mount(folder):
    """Whether this process may have file systems of its own, as root."""
    try:
        with small_disk(folder, 4096):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
