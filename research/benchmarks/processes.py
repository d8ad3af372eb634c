"""A version in a process of its own, with an environment of its own, that answers when asked."""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile


class ProcessError(RuntimeError):
    """The process of a version ended before it had answered."""


class Process:
    """A version that is made in a process of its own; each call is a call of it there.

    Parameters
    ----------
    make : str
        'module:function', which makes the version: a callable without arguments, whose results can
        be written as JSON.
    arguments : dict
        Of that function, by name; they can be written as JSON.
    environment : dict from str to str or None
        What the process has in its environment before it imports the module; None is not set.

    Raises
    ------
    ProcessError
        If the process ends; it has the last line that was written to standard error there.
    """

    def __init__(self, make, arguments, environment):
        self.name = make
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 as long as the process
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path},
            encoding="utf-8",
        )
        self._ask({"make": make, "arguments": arguments, "environment": environment})

    def __call__(self):
        """What the version returns."""
        return self._ask(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _ask(self, request):
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise ProcessError(f"The process of {self.name} ended: {self._last_words()}")
        return json.loads(answer)

    def _last_words(self):
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit status {status}"


def environment(threads, onednn=None, backend="tensorflow"):
    """The environment of a process in which Keras runs on so many threads.

    Parameters
    ----------
    threads : int
    onednn : {None, '0', '1'}
        Whether TensorFlow is to use oneDNN; None leaves it to TensorFlow.
    backend : {'tensorflow', 'jax'}
        Keras' backend.
    """
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC", "PJRT_NPROC")
    return {
        **dict.fromkeys(names, str(threads)),  # the last two are JAX's
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": onednn,
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
    }


def megabytes(what):
    """Memory of this process: 'VmRSS' it has now, 'VmHWM' at its peak; NaN where Linux is not."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def _serve():
    """Make the version that is asked for first; then call it once for each line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    version = _made(**json.loads(sys.stdin.readline()))
    print(json.dumps("made"), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(version()), file=answers, flush=True)


def _made(make, arguments, environment):
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    module, function = make.split(":")
    return getattr(importlib.import_module(module), function)(**arguments)


if __name__ == "__main__":
    _serve()
