"""Whether the last bits of what a block computes for an example depend on its place in the batch.

Where they do, features that were computed in one batch are not those that another batch would give,
to the last bit. Two kinds of kernels do that. Some products of matrices, as TensorFlow's without
oneDNN, round otherwise at the edges of their tiles: `same_everywhere` tries it. And functions such
as the exponential round otherwise for the few elements that are left over at the end of an array
than for those that are computed many at a time: `leaves_rest` counts them, since so few elements
might differ by chance in no trial.
"""

import hashlib

import numpy as np
import tensorflow as tf

LANES = 16  # elements that are computed at a time, or a divisor of it
FUNCTIONS = {  # operations that are computed in two ways, for many elements and for the rest
    *("Exp", "Expm1", "Log", "Log1p", "Pow", "Sqrt", "Rsqrt", "Reciprocal", "Inv", "Xlogy"),
    *("Tanh", "Sigmoid", "Erf", "Erfc", "Softplus", "Elu", "Selu", "Softmax", "LogSoftmax"),
    *("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
}
_tried = {}  # results of `same_everywhere` in this process


def leaves_rest(graph, size):
    """Whether one of the functions of a block leaves a rest in a batch of some size.

    Parameters
    ----------
    graph : FuncGraph
        Of the block, for batches of any size.
    size : int
    """
    for operation in graph.get_operations():
        if operation.type in FUNCTIONS and _rest(operation.outputs[0].shape, size):
            return True
    inner = graph.as_graph_def().library.function  # of shapes that nobody knows
    return any(node.op in FUNCTIONS for function in inner for node in function.node_def)


def _rest(shape, size):
    """Elements left over, where the first axis is the batch; 0 if the batch does not matter."""
    if shape.is_fully_defined():
        return 0
    if shape.rank is None or not shape[1:].is_fully_defined():
        return 1
    return size * int(np.prod(shape[1:])) % LANES


def same_everywhere(block, features, sizes):
    """Whether a block gives the same bits for one example in every place of batches of some sizes.

    It is tried once in a process for the same operations.

    Parameters
    ----------
    block : callable
        A concrete function from features to outputs and more.
    features : tensor, shape (1, …)
        Of the example.
    sizes : sequence of int

    Returns
    -------
    bool
    outputs : tensor, shape (1, …)
        Of the example.
    """
    graph = block.graph.as_graph_def().SerializeToString(deterministic=True)
    key = hashlib.sha256(graph).digest(), features.dtype, tuple(features.shape), *sizes
    if key in _tried:
        return _tried[key], block(features)[0]
    outputs = [block(tf.repeat(features, size, axis=0))[0] for size in sizes]
    first = outputs[0][:1]
    _tried[key] = all(_all_like(first, each) for each in outputs)
    return _tried[key], first


def _all_like(first, outputs):
    same = (outputs == first) | (tf.math.is_nan(outputs) & tf.math.is_nan(first))
    return bool(tf.reduce_all(same))
