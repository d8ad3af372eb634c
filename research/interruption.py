"""Signals that end a command: what is under way is finished first, so that nothing is lost."""

import contextlib
import os
import signal
import threading

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(BaseException):
    """A signal asks the command to end.

    Attributes
    ----------
    number : int
        Of the signal.
    advice : str
        How to go on, where there is something to go on with.
    """

    advice = ""

    def __init__(self, number):
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


class _State:
    """Whether a signal came, and how many sections are to be finished before it counts."""

    number = None
    sections = 0


@contextlib.contextmanager
def interruptible():
    """Within this context, of a command, the first signal raises `Interrupted`.

    A second one ends the process at once. A signal that is ignored, as SIGHUP under nohup, stays
    so. In another thread than the first, Python has no handlers: signals do as they did before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] not in (signal.SIG_IGN, None)]
    _State.number = None
    for number in heard:
        signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
        _State.number = None


@contextlib.contextmanager
def finished_first():
    """Within this context, a signal waits until its end: what is done here is done whole."""
    _State.sections += 1
    try:
        yield
    finally:
        _State.sections -= 1
    if _State.number is not None and not _State.sections:
        raise Interrupted(_State.number)


def _on_signal(number, _):
    if _State.number is not None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _State.number = number
    if not _State.sections:
        raise Interrupted(number)
