"""Experiments built on `batch`: the command line, comparisons, reports and benchmarks.

The names stand in `__init__.pyi`; each is imported when it is asked for.
"""

import lazy_loader

from batch.runtime import import_utils

import_utils()  # ours, or an error that names the file in its place

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
