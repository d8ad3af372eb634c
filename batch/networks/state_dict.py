"""State dicts of PyTorch: read from their files, and sorted by the modules they are of."""

import os
import re
import warnings
import zipfile

import numpy as np

from batch import archives
from batch.checks import instance, numeric, received
from batch.files import check_file, check_memory

SUFFIXES = ("weight", "bias", "running_mean", "running_var")
HOLDERS = ("state_dict", "model_state_dict", "model", "net", "params")  # keys of checkpoints
WRAPPERS = re.compile(r"((module|_orig_mod|model|net)\.)+")  # names of modules around the program


def read_state_dict(path):
    """A PyTorch state dict from its file, without running code that the file holds.

    Raises
    ------
    ValueError
        If it is no such file, or holds more than weights.
    OSError
        If it can't be read.
    ImportError
        If PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading weights of PyTorch takes the package torch: pip install 'resbatch[torch]'"
        ) from error
    try:
        check_file(path)
        if zipfile.is_zipfile(path):
            with archives.opened(path):
                pass
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that it then refuses
            state = torch.load(path, weights_only=True, map_location="cpu")
        _check_sizes(state, os.path.getsize(path))
    except OSError:
        raise
    except Exception as error:  # a pickle that is none can end in any of them
        raise ValueError(f"{path} is no PyTorch state dict: {_reason(error)}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} is no PyTorch state dict: it holds a {type(state).__name__}")
    return state


def _check_sizes(state, size):
    """Refuse tensors that are views of fewer numbers than they show: they are copied whole."""
    held = [state, *(state.get(key) for key in HOLDERS)] if isinstance(state, dict) else []
    tensors = [
        value
        for values in held
        if isinstance(values, dict)
        for value in values.values()
        if hasattr(value, "numel")
    ]
    shown = sum(4 * tensor.numel() for tensor in tensors)
    if shown > max(archives.SMALL, 8 * size):
        raise archives.ArchiveError(f"its tensors show {shown:,} bytes, and it has {size:,}")
    check_memory("it", shown)


def _reason(error):
    """What is wrong with a file, without PyTorch's advice to read it nevertheless."""
    if isinstance(error, ValueError):
        return str(error)
    foreign = re.search(r"GLOBAL (\S+)", str(error))
    if foreign:
        return (
            f"it holds {foreign[1]}, which takes code to read, and no code is run: save the "
            "program's state_dict() alone"
        )
    return "torch.save has not written it, or not to its end"


def modules(state_dict):
    """The arrays of each module.

    Parameters
    ----------
    state_dict : dict
        From names to tensors or arrays, or a checkpoint that holds such a dict under one of
        `HOLDERS`. Names may begin with those of wrappers, as 'module.' of parallel modules.

    Returns
    -------
    dict
        `{name: {'weight': …, 'bias': …}}`, float32.

    Raises
    ------
    ValueError
        If something else than names or finite numbers is in it.
    """
    instance("state_dict", state_dict, dict, "a dict from names to tensors or arrays")
    held = [state_dict[key] for key in HOLDERS if isinstance(state_dict.get(key), dict)]
    sorted_by_name = {}
    for key, value in (held[0] if held else state_dict).items():
        if not isinstance(key, str):
            raise ValueError(f"state_dict must have names as its keys. {received(key)}")
        name, _, suffix = WRAPPERS.sub("", key, count=1).rpartition(".")
        if suffix == "num_batches_tracked":
            continue
        if suffix not in SUFFIXES:  # a program without modules names its kernels alone
            name, suffix = f"{name}.{suffix}".lstrip("."), "weight"
        module = sorted_by_name.setdefault(name, {})
        if suffix in module:
            raise ValueError(f"state_dict must have {name}.{suffix} once. {received(key)}")
        module[suffix] = _array(f"state_dict/{key}", value)
    return sorted_by_name


def _array(name, value):
    """A tensor or an array as float32."""
    if hasattr(value, "detach"):  # a tensor, whose bfloat16 NumPy does not know
        value = value.detach()
        try:
            value = (value if value.is_complex() else value.float()).numpy()
        except (TypeError, RuntimeError):
            value = f"a tensor of {value.dtype}, {value.layout}"  # sparse, or quantized
    with np.errstate(over="ignore"):
        array = numeric(name, value).astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers. {received(value)}")
    return array
