"""Whether two networks compute the same: their outputs for a few inputs, in inference mode."""

import contextlib

import keras
import numpy as np

from batch.networks.layer_state import value_of
from batch.networks.layers import run
from batch.runtime import deterministic_on_gpus

BFLOAT16 = 0.1  # of the outputs' norm: how far a copy in mixed precision may be off
MACHINES = 1e-3  # the same for float32 on another machine than the one that computed the outputs


def probes(shape):
    """Inputs to try: two, and the first alone, where the values of the second are too large.

    The first is from 0 to 2, as scaled pixels are, and as numbers of words are; the second has the
    whole numbers of bytes. Where the size of images is open, it is 32.
    """
    rng = np.random.default_rng(0)
    shape = [32 if size is None else size for size in shape]
    both = np.stack([rng.integers(0, 8, shape) / 4, rng.integers(0, 256, shape)])
    return [both.astype(np.float32), both[:1].astype(np.float32)]


def refuse_unequal(layers, twins, shape, tolerance=0.0):
    """Refuse copies whose outputs differ from those of the original blocks.

    Blocks that are not built, or can't compute anything from the inputs tried, are left out.

    Parameters
    ----------
    layers, twins : sequence of keras.layers.Layer
        Blocks, and their copies.
    shape : tuple of int
        Of one input.
    tolerance : float
        Largest difference, as a share of the outputs' norm; 0 allows none.

    Raises
    ------
    ValueError
        If a copy differs; it names the block.
    """
    if not any(map(_is_built, layers)):
        return
    for inputs in probes(shape):
        with contextlib.suppress(_UnfitError):
            _compare(layers, twins, inputs, tolerance)
            return


class _UnfitError(ValueError):
    """The inputs do not suit a layer."""


def _compare(layers, twins, features, tolerance):
    for layer, twin in zip(layers, twins):
        built = _is_built(layer)
        expected = outputs(layer, features) if built else None
        try:
            features = outputs(twin, features)
            off = difference(features, expected) if built else 0.0
        except _UnfitError:
            if not built:
                raise
            off = np.inf
        if off > tolerance:
            raise ValueError(
                f"The copy of {layer.name} computes something else than {layer.name}, off by "
                f"{off:.2g} of its outputs' norm: it holds a state that is neither a weight nor in "
                "its config, or draws random numbers from no keras.random.SeedGenerator of its own."
            )


def _is_built(layer):
    return all(part.built for part in layer._flatten_layers())  # noqa: SLF001


def fitting_outputs(network):
    """Inputs that suit a network, and what it gives for them; None for both if none do."""
    for inputs in probes(network.input_shape[1:]):
        with contextlib.suppress(_UnfitError):
            return inputs, _as_array(outputs(network, inputs))
    return None, None


def outputs(layer, inputs):
    """What a layer gives in inference mode; afterwards it is as it was.

    Its random generators begin anew, so that a layer that draws gives the same every time.
    """
    with _undone(layer), deterministic_on_gpus():
        try:
            return run(layer, inputs, training=False)
        except Exception as error:  # a layer of anyone's, so an error of any kind
            raise _UnfitError(str(error)) from error


@contextlib.contextmanager
def _undone(layer):
    """Within this context, random generators are at zero; afterwards, all state is as before."""
    weights = {id(weight) for weight in layer.weights}
    random = [variable for variable in layer.variables if id(variable) not in weights]
    inner = layer._flatten_layers()  # noqa: SLF001
    statistics = [state for part in inner for state in part._non_trainable_variables]  # noqa: SLF001
    values = [(variable, value_of(variable)) for variable in (*random, *statistics)]
    for variable in random:
        variable.assign(keras.ops.zeros_like(variable))
    try:
        yield
    finally:
        for variable, value in values:
            variable.assign(value)


def difference(given, expected):
    """The norm of the difference of two tensors, as a share of that of the second; 0 if equal."""
    given, expected = _as_array(given), _as_array(expected)
    if np.array_equal(given, expected, equal_nan=True):
        return 0.0
    if given.shape != expected.shape:
        return np.inf
    with np.errstate(all="ignore"):
        off = np.linalg.norm(given - expected) / np.linalg.norm(expected)
    return float(off) if np.isfinite(off) else np.inf


def _as_array(tensor):
    return keras.ops.cast(tensor, "float32").numpy()
