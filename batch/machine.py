"""The machine: its speeds as they were measured, and what memory and processors it has now.

The speeds below decide whether to keep features, which stages share a step, and when to begin to
compile. They are constants and are never measured while training: a choice that followed the clock
could change the last bits of a result.
"""

import contextlib
import os
import pathlib

# The feature cache. Measured on two cores of an Intel Xeon.
FORWARD_SPEED = 1e11  # multiply-adds a second of a small network, forward only
MEMORY_READING, MEMORY_WRITING = 7e9, 5e8  # bytes a second; the first writes to memory are slow
FILE_READING, FILE_WRITING = 1e9, 3e8  # bytes a second of a mapped temporary file
BLOSC_READING, BLOSC_WRITING = 1e9, 5e8  # bytes a second, uncompressed
CACHE_SHARE = 0.5  # of the free memory, and of the free disk space, that 'auto' may take
MOST_VISITS = 1000  # visits of an example, where nothing says how long training goes on
WRITE_BACKLOG = 2  # batches of features that may wait to be written

# Arrays of images, of which tensors take as much again.
ARRAY_SHARE = 0.25  # of the free memory, that what could be mapped may take

# Plans of stages. Measured with DenseNet, Wide ResNet and VGG on two cores of an AMD EPYC.
STEP_SPEED = 5e10  # multiply-adds a second of a training step
COMPILE_SECONDS = 0.015  # for each convolution or matrix product of the network
COMPILE_SECONDS_CONDITIONAL = 0.13  # more for each one within a conditional
SHARED_STEP_SLOWDOWN = 0.03  # share of time that a shared step takes more: 2 to 4 %
FEW_BLOCKS = 8  # with no more blocks than these, sharing steps is not worth planning

# Compiling ahead. Chosen, not measured.
TRIAL_SHARE = 0.1  # of the free memory that the variables of a trial step may take
COMPILE_LEAD = 5.0  # seconds before a stage at which compiling its step begins
COMPILE_NICENESS = 10  # of the compiling thread: a lower priority than that of training

_CONTROL_GROUPS = {  # by version: files with a control group's limit and use, and a prefix
    "": ("memory.max", "memory.current", ""),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}


def processors():
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory():
    """Bytes of memory that are free or can be made free, within the limits of a container.

    Where the system does not say what is free, half of all memory.
    """
    try:
        with open("/proc/meminfo", encoding="utf-8") as lines:
            entries = dict(line.split(":") for line in lines)
        free = 1024 * int(entries["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return min([free, *_left_by_limits()])


def _left_by_limits(groups="/proc/self/cgroup", root="/sys/fs/cgroup"):
    """Bytes that each limit of the process's control groups leaves, of version 2 or 1."""
    left = []
    with contextlib.suppress(OSError):
        for line in pathlib.Path(groups).read_text(encoding="utf-8").splitlines():
            _, kinds, group = line.split(":", 2)
            if kinds not in ("", "memory"):
                continue
            top = pathlib.Path(root, kinds)
            group = top / group.strip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    left += _left_in(folder, *_CONTROL_GROUPS[kinds])
    return left


def _left_in(folder, limit, used, prefix):
    with contextlib.suppress(OSError, ValueError):  # no limit, or no such file
        limit, used = (int((folder / name).read_text(encoding="utf-8")) for name in (limit, used))
        return [max(limit - used + _of_files(folder, prefix), 0)]
    return []


def _of_files(folder, prefix):
    """Bytes of files that a control group holds in memory, and gives up when memory is needed."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    held = dict(line.split() for line in lines)
    return sum(int(held.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))
