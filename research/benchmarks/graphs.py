"""What TensorFlow executes: the graphs that are left once it has pruned what nobody reads."""

import pathlib
import re
import tempfile
from collections import Counter

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

OPERATION = re.compile(r"[\w/.-]+:(?:_Mkl(?:Native)?)?_?(\w+)(?:#.*)?")  # an event: name and type
REDUCTIONS = ("CollectiveReduce", "CollectiveReduceV2", "CollectiveReduceV3")


def executed_operations(call):
    """Operations in the graphs that TensorFlow runs in a call, the first of its kind.

    Parameters
    ----------
    call : callable
        Without arguments. What it runs must not have been run before.

    Returns
    -------
    Counter
        How many there are of each type, as 'Conv2DBackpropFilter'.
    """
    graphs = _executed(call)
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [
        node
        for graph in graphs
        for function in graph.library.function
        for node in function.node_def
    ]
    return Counter(node.op for node in nodes)


def executed_collectives(call):
    """Bytes that each collective reduction takes in the graphs that TensorFlow runs in a call.

    Parameters
    ----------
    call : callable
        As for `executed_operations`.

    Returns
    -------
    list of int
        One for each device that takes part.
    """
    taken = []
    for definition in _executed(call):
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(definition, name="")
        reduced = [each.inputs[0] for each in graph.get_operations() if each.type in REDUCTIONS]
        taken += [each.shape.num_elements() * each.dtype.size for each in reduced]
    return taken


def _executed(call):
    """The optimized graphs that TensorFlow runs in a call, the first of its kind."""
    tf.summary.trace_on(graph=True)
    try:
        context.context().export_run_metadata()  # what was run since an earlier trace
        call()
        metadata = context.context().export_run_metadata()
    finally:
        tf.summary.trace_off()
    return [graph.post_optimization_graph for graph in metadata.function_graphs]


def seconds_by_operation(call):
    """Seconds that each type of operation takes in a call, by TensorFlow's profiler.

    Operations that run side by side count in full. oneDNN's are called as TensorFlow's.

    Parameters
    ----------
    call : callable
        Without arguments. What it runs should have been run before.

    Returns
    -------
    Counter
    """
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        try:
            call()
        finally:
            tf.profiler.experimental.stop()
        (written,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = XSpace.FromString(written.read_bytes())
    seconds = Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            operation = OPERATION.fullmatch(plane.event_metadata[event.metadata_id].name)
            if operation:
                seconds[operation[1]] += event.duration_ps / 1e12
    return seconds
