"""TensorFlow's start: with oneDNN, without its chatter, and with a stated number of threads."""

import contextlib
import functools
import importlib
import os
import pathlib

LIMITS = {  # files of control groups with their limit and what is used, by version
    "": ("memory.max", "memory.current"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}


def prefer_onednn():
    """Have TensorFlow use oneDNN, unless `TF_ENABLE_ONEDNN_OPTS` is set; before it is imported.

    Left to itself, TensorFlow leaves it off where a processor has no AVX-512, and takes a third
    longer there. The last bits of what a block computes then depend on an image's place in its
    batch.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def deterministic_on_gpus():
    """Inside, operations on a GPU give the same bits every time; the user's switch comes back.

    On processors they do so by themselves, and nothing is switched.
    """
    if not _has_gpu():
        yield
        return
    from tensorflow.python.framework import config  # only there can it be switched off again

    before = config.is_op_determinism_enabled()
    config.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            config.disable_op_determinism()


@functools.cache
def _has_gpu():
    return bool(import_tensorflow().config.list_physical_devices("GPU"))


def import_utils():
    """Our package `utils`, whose common name another file may have taken.

    Raises
    ------
    ImportError
        If Python found another `utils` first; names it.
    """
    utils = importlib.import_module("utils")
    ours = pathlib.Path(__file__).resolve().parent.parent / "utils" / "__init__.py"
    if pathlib.Path(utils.__file__ or "").resolve() != ours:
        raise ImportError(
            f"ResBatch needs its own package 'utils', but Python found {utils.__file__} first. "
            "Rename that file or start Python from another folder."
        )
    return utils


def import_tensorflow():
    """Import TensorFlow without the lines it writes to standard error on every start.

    What goes wrong is an exception all the same. `TF_CPP_MIN_LOG_LEVEL=0` brings the lines back.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        return importlib.import_module("tensorflow")
    with _silent_stderr():
        return importlib.import_module("tensorflow")


def set_threads(threads=None):
    """Let TensorFlow use this many threads within an operation and between operations.

    The number decides the last bits of the results: runs are reproducible for the same number.

    Parameters
    ----------
    threads : int, optional
        By default, and when TensorFlow was told nothing, as many as there are processors to run on.

    Returns
    -------
    int
        The number in force.

    Raises
    ------
    RuntimeError
        If TensorFlow has computed something already, with another number.
    """
    threading = import_tensorflow().config.threading
    in_force = threading.get_intra_op_parallelism_threads() or processors()
    if threads not in (None, in_force):
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
        return threads
    return in_force


def processors():
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory():
    """Bytes of memory that are free or could be; half of all there are where nothing tells.

    At most what the limits of the process's control groups leave, as in a container.
    """
    try:
        with open("/proc/meminfo") as lines:
            told = dict(line.split(":") for line in lines)
        free = 1024 * int(told["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return min([free, *_left_by_limits()])


def _left_by_limits(told="/proc/self/cgroup", root="/sys/fs/cgroup"):
    """Bytes that each limit of the process's control groups leaves, of version 2 or 1."""
    left = []
    with contextlib.suppress(OSError):
        for line in pathlib.Path(told).read_text().splitlines():
            _, kinds, group = line.split(":", 2)
            if kinds not in ("", "memory"):
                continue
            top = pathlib.Path(root, kinds)
            group = top / group.strip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    left += _left_in(folder, *LIMITS[kinds])
    return left


def _left_in(folder, limit, used):
    with contextlib.suppress(OSError, ValueError):  # no limit, or no such file
        limit, used = (int((folder / name).read_text()) for name in (limit, used))
        return [max(limit - used, 0)]
    return []


@contextlib.contextmanager
def _silent_stderr():
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
