"""What a graph of TensorFlow is made of."""


def operations(graph):
    """Types of the operations in a graph and in the functions that it calls, as a set."""
    made = graph.as_graph_def()
    inner = (node for function in made.library.function for node in function.node_def)
    return {node.op for node in (*made.node, *inner)}
