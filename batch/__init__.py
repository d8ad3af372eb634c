"""From a batch to a trained network: pipelines, models, schedules and the training step.

The names stand in `__init__.pyi`; each is imported when it is first used.
"""

import lazy_loader

from batch.runtime import import_utils, set_globals

set_globals()

__version__ = "0.1.0"

_own, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["ax_draw"]


def __getattr__(name):
    if name == "ax_draw":  # the reference notebooks import it from here
        return import_utils().ax_draw
    return _own(name)
