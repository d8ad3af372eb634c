"""Files of Keras' own, checked before Keras opens them: members, config, weights, and size."""

import contextlib
import copy
import io
import math

import h5py
import keras
import tensorflow as tf
from keras.src.backend.common import global_state

from batch import archives
from batch.files import check_memory, from_json
from batch.networks.known import check_known
from batch.runtime import own_numbers, seeded
from batch.shown import short

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {CONFIG, WEIGHTS, "metadata.json"}
ASSETS = "assets/"  # a folder with what layers write besides
WAITING = "uninitialized_variables"  # Keras' list of those that are to be made later
WORK = 4  # bytes of a number


def check_keras_file(path, classes=None):
    """Refuse a `.keras` file that Keras should not open.

    Parameters
    ----------
    path : path
    classes : dict, optional
        The user's own classes and functions by name.

    Raises
    ------
    ArchiveError
        If it is broken, declares more than it has or than fits in memory, or leads elsewhere; or
        as `check_known`.
    Exception
        Whatever Keras fails with when it makes the network.
    """
    with archives.opened(path) as archive:
        foreign = [
            name
            for name in archive.namelist()
            if name not in MEMBERS and not name.startswith(ASSETS)
        ]
        if foreign:
            raise ValueError(f"it holds {short(foreign[0])}, which Keras has not written")
        config = from_json(archive.read(CONFIG))
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError("its config is of no network")
        config["compile_config"] = None
        check_known(config, classes)
        held = _bytes_of_weights(archive.read(WEIGHTS))
    _check_size(config, classes, held)


def _bytes_of_weights(content):
    """Bytes of the arrays in HDF5, which are not read, if they are there as they are declared."""
    with h5py.File(io.BytesIO(content), "r") as file:
        waiting, seen, declared = [file], set(), 0
        while waiting:
            group = waiting.pop()
            if not _is_new(group, seen):
                raise ValueError("its weights have a group within itself")
            for name in group:
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise ValueError(f"its weights have a link elsewhere, {short(name)}")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                elif _is_new(item, seen):
                    declared += _bytes_of(item, name)
    if declared > len(content):
        raise ValueError(f"its weights declare {declared:,} bytes in {len(content):,}")
    return declared


def _is_new(item, seen):
    address = h5py.h5o.get_info(item.id).addr
    seen_before = address in seen
    seen.add(address)
    return not seen_before


def _bytes_of(item, name):
    """Bytes of an array, if it lies in the file as plain numbers."""
    if not isinstance(item, h5py.Dataset) or item.shape is None:
        raise ValueError(f"its weights have {short(name)}, which is no array")
    settings = item.id.get_create_plist()
    if item.dtype.kind not in archives.PLAIN or item.dtype.hasobject or item.dtype.names:
        raise ValueError(f"its weights have {short(name)}, which is no array of numbers")
    if item.is_virtual or settings.get_external_count() or settings.get_nfilters():
        raise ValueError(f"its weights have {short(name)}, which Keras has not written so")
    declared = math.prod(item.shape) * item.dtype.itemsize
    held = item.id.get_storage_size()
    if declared > held:
        raise ValueError(
            f"its weights have {short(name)}, which declares {declared:,} bytes and has {held:,}"
        )
    return declared


def _check_size(config, classes, held):
    """Refuse a network with more weights than the file holds: it is made without their values."""
    with _nothing_made():
        network = keras.saving.deserialize_keras_object(config, classes)
        if not isinstance(network, keras.Model):
            raise archives.ArchiveError("its config is of no network")
        needed = sum(math.prod(variable.shape) for variable in network.variables)
    if WORK * needed > max(archives.SMALL, 4 * held):  # of a smaller type, or some not saved
        raise archives.ArchiveError(f"its network has {needed:,} weights, which it does not hold")
    _check_memory("its network", needed)


def check_work(network, inputs):
    """Refuse a network that can't compute these inputs in the memory that is free.

    Parameters
    ----------
    network : keras.Model
    inputs : ndarray

    Raises
    ------
    ArchiveError
    """
    try:
        spec = tf.TensorSpec(inputs.shape, inputs.dtype)
        computed = tf.function(network).get_concrete_function(spec, training=False)
    except Exception:  # of a layer of anyone's: what computes it says so
        return
    outputs = [output.shape for work in computed.graph.get_operations() for output in work.outputs]
    sizes = [shape.num_elements() or 0 for shape in outputs if shape.is_fully_defined()]
    _check_memory("what its network computes", max(sizes, default=0))


def _check_memory(what, numbers):
    try:
        check_memory(what, WORK * numbers)
    except ValueError as error:
        raise archives.ArchiveError(str(error)) from error


@contextlib.contextmanager
def _nothing_made():
    """Within this context, variables of Keras have shapes but no values, and never get any."""
    before = copy.copy(global_state.get_global_attribute(WAITING))
    try:
        with seeded(0), own_numbers(), keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(WAITING, before)
