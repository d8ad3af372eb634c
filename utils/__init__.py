"""What every experiment shares: plots, and the names of data, histories and an estimate.

The names stand in `__init__.pyi`; each is imported when it is first used.
"""

import importlib

import lazy_loader

_OF_BATCH = {
    **dict.fromkeys(("Data", "DataError", "load_data"), "data.data"),
    "History": "data.history",
    "calc_speedup": "schedules.freezeout",  # it is in utils in the program published with FreezeOut
}

_own, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += _OF_BATCH


def __getattr__(name):
    if name in _OF_BATCH:
        return getattr(importlib.import_module(f"batch.{_OF_BATCH[name]}"), name)
    return _own(name)
