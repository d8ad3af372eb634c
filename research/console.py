"""Standard output and standard error, as they may be: closed, full, in ASCII, without a reader."""

import codecs
import contextlib
import os
import sys

LOST = []  # errors of streams that could not be written
PLAIN = {  # for streams whose encoding lacks the sign
    **dict.fromkeys("−–", "-"),
    **{"…": "...", "×": "x", "±": "+/-", "θ": "theta", "λ": "lambda", "α": "alpha"},
}


@contextlib.contextmanager
def standard_streams():
    """Within this context, of a command, the standard streams take anything that is written.

    A closed stream leads nowhere. Otherwise the next file that is opened would take its number, and
    get what libraries write to standard error. What a stream's encoding lacks is written plainly,
    as 'x' for '×'.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    codecs.register_error("resbatch", _plainly)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        with contextlib.suppress(AttributeError):  # a notebook's stream
            getattr(sys, name).reconfigure(errors="resbatch")
    LOST.clear()
    try:
        yield
    finally:
        for name in ("stdout", "stderr"):
            with writing(name):
                getattr(sys, name).flush()


@contextlib.contextmanager
def writing(name):
    """Within this context, which writes to `stdout` or `stderr`, the stream may take nothing.

    Then it leads nowhere from now on, so that no run ends because of what it says. If it is not for
    want of a reader, as of `| head`, the error is in `LOST`, with the stream's name.
    """
    try:
        yield
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, getattr(sys, name).fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            LOST.append(OSError(error.errno, error.strerror, name))


def say(text=""):
    """Print a line at once."""
    with writing("stdout"):
        print(text, flush=True)


def _plainly(error):
    """For `codecs`: what to write in place of what can't be encoded."""
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in signs), error.end
