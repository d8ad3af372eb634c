"""What a run ran on, for the record."""

import os
import platform
from importlib import metadata

from batch.runtime import processors

PACKAGES = ("resbatch", "batchflow", "keras", "numpy", "pandas", "tensorflow")


def describe(threads=None):
    """Versions, processor, memory, and TensorFlow's threads, as a dict of strings."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "system": platform.platform(terse=True),
        "processor": processor_name(),
        "processors": str(processors()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        **({"threads": str(threads)} if threads else {}),
    }


def processor_name():
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
