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


def same_everywhere(compute, graphs, features, sizes):
    """Whether some blocks give the same bits for one example in every place of a batch.

    It is tried once in a process for the same operations.

    Parameters
    ----------
    compute : callable
        Computes the outputs, shape (n, …), of a batch that has the example in every place.
    graphs : sequence of FuncGraph
        Of the blocks.
    features : tensor, shape (1, …)
        The example.
    sizes : tuple of int
        Of the batch, and of the parts in which it is computed.
    """
    digests = [hashlib.sha256(_serialized(graph)).digest() for graph in graphs]
    key = *digests, features.dtype, tuple(features.shape), sizes
    if key not in _tried:
        outputs = compute()
        first = outputs[:1]
        same = (outputs == first) | ((outputs != outputs) & (first != first))  # NaN, too
        _tried[key] = bool(tf.reduce_all(same))
    return _tried[key]


def _serialized(graph):
    return graph.as_graph_def().SerializeToString(deterministic=True)
