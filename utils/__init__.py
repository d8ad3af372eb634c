"""What every experiment shares: plots, and the names of data and histories.

The names stand in `__init__.pyi`; each is imported when it is first used.
"""

import importlib

import lazy_loader

_OF_BATCH = {"Data": "data", "DataError": "data", "History": "history", "load_data": "data"}

_own, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += _OF_BATCH


def __getattr__(name):
    if name in _OF_BATCH:
        return getattr(importlib.import_module(f"batch.data.{_OF_BATCH[name]}"), name)
    return _own(name)
