"""ResBatch by its own name: the public names of `batch`, `utils` and `research`, and its version.

`python -m resbatch` is the command line.
"""

import importlib
import sys
from typing import TYPE_CHECKING

from batch import __version__ as __version__

if TYPE_CHECKING:
    from batch import *  # noqa: F403
    from research import *  # noqa: F403
    from utils import *  # noqa: F403


def __getattr__(name):
    for package in ("batch", "research", "utils"):
        if name in (found := importlib.import_module(package)).__all__:
            return getattr(found, name)
    raise AttributeError(f"resbatch has no {name}")


def __dir__():
    names = [importlib.import_module(package).__all__ for package in ("batch", "research", "utils")]
    return sorted({"__version__"}.union(*names))


if __name__ == "__main__":
    sys.exit(importlib.import_module("research.cli").main())
