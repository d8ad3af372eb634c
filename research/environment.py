"""The versions and the machine of a run, for its record."""

import os
import platform
from importlib import metadata

from batch.runtime import processors

UNITS = (  # flags of processors, and what they have for bfloat16
    ("amx_bf16", "matrix units"),
    ("avx512_bf16", "vector units"),
    ("bf16", "vector units"),
)
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
        "bfloat16": bfloat16_units(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        **({"threads": str(threads)} if threads else {}),
    }


def processor_name():
    """The processor's name."""
    return _entry("model name") or platform.processor() or platform.machine()


def bfloat16_units():
    """What the processor has for products in bfloat16, in words."""
    flags = processor_flags()
    for flag, units in UNITS:
        if flag in flags:
            return units
    return "none: slower than float32" if flags else "unknown"


def processor_flags():
    """What the processor can do, in the system's short words, as 'avx2'; empty if unknown."""
    return _entry("flags").split() or _entry("Features").split()


def _entry(name):
    """What /proc/cpuinfo has of the first processor under a name; empty if it has nothing."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            entries = [line.split(":", 1)[1].strip() for line in lines if line.startswith(name)]
    except OSError:
        return ""
    return entries[0] if entries else ""
