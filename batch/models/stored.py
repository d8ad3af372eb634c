"""BatchFlow models in files and in pickles."""

import functools
import os
import tempfile
import types

import keras
from batchflow.models.base import BaseModel

from batch.checks import instance, one_of, optional, true_or_false
from batch.checks import path as checked_path
from batch.models.build import reopen
from batch.models.model_file import left_out, restore, write_model
from batch.networks.remake import own_classes


def exclusive(method):
    """Let only one thread at a time into a method: steps and saves must not overlap."""

    @functools.wraps(method)
    def alone(self, *args, **kwargs):
        with self._lock:
            return method(self, *args, **kwargs)

    return alone


class StoredModel(BaseModel):
    """A model that can be saved, loaded, pickled and copied."""

    @exclusive
    def save(self, path, fmt=None, pickle_metadata=True, pickle_module=None):
        """Write weights, slots of the optimizers, iteration and config to a file.

        The file is written whole or not at all. Callables of the user's own (schedule, loss, output
        operations) are not saved: the config of the model that loads must have them again. So must
        it have the `network`, if that has classes of layers that are not registered with Keras.

        There is one format, `fmt=None`, which is always complete and holds no pickles:
        `pickle_metadata` and `pickle_module`, which BatchFlow's Torch models have, change nothing.
        """
        one_of("fmt", fmt, (None,))
        true_or_false("pickle_metadata", pickle_metadata)
        _check_module(pickle_module)
        path = checked_path("path", path)
        config = {**_of_any_machine(self.config), "cache": self.trainer.cache.storage}
        write_model(path, self.trainer, config=config, optimizer=self.optimizer)

    @exclusive
    def load(self, path, fmt=None, pickle_module=None):
        """Read a file that `save` wrote, and go on from there.

        If the file is refused, the model does not change. `fmt` may be 'pt', BatchFlow's word for
        what `save` writes; `pickle_module` changes nothing.
        """
        path = checked_path("path", path)
        load = {"path": path, "fmt": fmt, "pickle_module": pickle_module}
        loaded = type(self)({**self.config, "load": load})
        vars(self).update({**vars(loaded), "_lock": self._lock})

    def _open(self, config, path, fmt=None, pickle_module=None):
        """Go on from a file, in a new model."""
        one_of("fmt", fmt, (None, "pt"))
        _check_module(pickle_module)
        parts, state, changed = reopen(self, checked_path("path", path), config)
        self._begin(parts)
        restore(self.trainer, state, changed)

    @exclusive
    def __getstate__(self):
        """For pickles and copies: the bytes of the model's file, and what no file can hold."""
        if "trainer" not in vars(self):
            return {"config": _of_any_machine(self.config)}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model")
            self.save(path)
            with open(path, "rb") as file:
                whole = file.read()
        classes = own_classes(self.config.get("network", ()))
        return {"config": left_out(_of_any_machine(self.config)), "file": whole, "classes": classes}

    def __setstate__(self, state):
        if "file" not in state:
            self.__init__(state["config"])
            return
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model")
            with open(path, "wb") as file:
                file.write(state["file"])
            with keras.saving.custom_object_scope(state["classes"]):
                self.__init__({**state["config"], "load": {"path": path}})


def _of_any_machine(config):
    """A config without what is said of the devices of this machine."""
    return {key: value for key, value in config.items() if key != "strategy"}


def _check_module(module):
    """Refuse what could not pickle, though nothing here does."""
    optional(instance, "pickle_module", module, types.ModuleType, "a module that pickles")
