"""A command in a process of its own, to which something happens at a certain moment.

A moment is an operation on a file of the command's (by Python's audit events, and `os.fsync`), an
iteration, or an allocation of the cache, each by its number; or so many seconds after the first
iteration. What happens is a signal, an error of the operation, or that the command's folder goes.
All moments are noted in a file, a line each.

Run by `runpy.run_path`, with these names given: `arguments`, `fault`, a dict with `at`, `number`
and `what`, or None; `folder` with all that the command writes; and `notes`, the path of the file.
"""

import errno
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
OPERATIONS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "fsync")
ERRORS = {  # that an operation meets, from this moment on
    "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "memory": MemoryError("Unable to allocate"),
}
FREEING = ("os.remove", "os.rmdir")  # what works on a full disk, too


class Moments:
    """Counts the moments of each kind, notes them, and lets the fault happen."""

    def __init__(self, fault, folder, notes):
        self.fault, self.folder = fault or {"at": None}, folder
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._counts = dict.fromkeys(("operation", "iteration", "allocation"), 0)
        self._busy = False

    def note(self, kind, name=""):
        """Another moment of a kind: note it, unless this is the end."""
        self._counts[kind] += 1
        if kind == "iteration" and self._counts[kind] == 1 and self.fault["at"] == "second":
            timer = threading.Timer(self.fault["number"], self._happen)
            timer.daemon = True
            timer.start()
        os.write(self._notes, f"{kind} {time.monotonic()} {name}\n".encode())
        if self.fault["at"] == kind and self._counts[kind] >= self.fault["number"]:
            first = self._counts[kind] == self.fault["number"]
            if self.fault["what"] in ERRORS and name.split()[0] not in FREEING:
                raise ERRORS[self.fault["what"]]
            if first:
                self._happen()

    def _happen(self):
        if self.fault["what"].startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.fault["what"]))
        elif self.fault["what"] == "gone":
            self._busy = True
            for path in os.scandir(self.folder):
                if path.name.endswith(".partial"):
                    shutil.rmtree(path)
            self._busy = False

    def on_event(self, event, arguments):
        """For `sys.addaudithook`: an operation, if it changes something in the folder."""
        if self._busy or not self._changes(event, arguments):
            return
        self._busy = True
        try:
            self.note("operation", f"{event} {arguments[0]}")
        finally:
            self._busy = False

    def _changes(self, event, arguments):
        if event == "open":
            path, _, flags = arguments
            return bool(flags & WRITING) and self._inside(path)
        if event not in OPERATIONS:
            return False
        relative = event in ("os.remove", "os.rmdir") and arguments[1] != -1
        return relative or self._inside(arguments[0])

    def _inside(self, path):
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self.folder)


def watch(moments):
    """Let `moments` know of all that the command does."""
    from batch.feature_cache import stores
    from research.commands import writing
    from research.running.run import Run

    def before(owner, name, kind, text):
        whole = getattr(owner, name)

        def noted(self, *arguments):
            moments.note(kind, text(self))
            return whole(self, *arguments)

        setattr(owner, name, noted)

    before(Run, "_iterate", "iteration", lambda run: f"{run.experiment.iterations}")
    for store, name in (("Memory", "_reserved"), ("Mapped", "_reserved"), ("Compressed", "write")):
        before(
            getattr(stores, f"{store}Store"), name, "allocation", lambda store: type(store).__name__
        )
    writing.WAIT = writing.LOOK = 0.1
    fsync = os.fsync

    def noted_fsync(descriptor):
        sys.audit("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    if os.path.isdir("/proc/self/fd"):
        os.fsync = noted_fsync
    sys.addaudithook(moments.on_event)


def main(arguments, fault, folder, notes):
    """Run the command; what it prints is in `folder`.out and .err, by the name of the notes."""
    for descriptor, end in ((1, ".out"), (2, ".err")):
        file = os.open(f"{notes}{end}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    tempfile.tempdir = os.path.join(folder, "temporary")
    os.makedirs(tempfile.tempdir, exist_ok=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell has behind
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and this under nohup
    from research import cli

    watch(Moments(fault, folder, notes))
    sys.exit(cli.main(arguments))


if __name__ == "child":
    main(arguments, fault, folder, notes)  # noqa: F821
