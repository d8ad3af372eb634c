"""What the blocks of a network cost, and the share of time that a schedule should save.

Costs are multiply-adds of convolutions and matrix products for one image. They are counted in the
graph that TensorFlow makes of each block's forward and backward pass. Everything else is left out
(normalization, ReLU, pooling, additions, the optimizer): it takes little arithmetic.
"""

import dataclasses

import keras
import numpy as np

from batch.checks import (
    function,
    instance,
    optional,
    positive_whole,
    received,
    sequence,
    sequence_of,
    true_or_false,
)
from batch.networks.layers import run
from batch.networks.stochastic_depth import StochasticDepth
from batch.runtime import import_tensorflow
from batch.schedules.stages import stages

tf = import_tensorflow()

# Operations after which the first axis may be another one than that of the batch.
MIXING = (
    *("Reshape", "Squeeze", "ExpandDims", "Transpose", "StridedSlice", "Pack", "Unpack"),
    *("SpaceToBatchND", "BatchToSpaceND", "Where", "If", "StatelessIf", "While", "StatelessWhile"),
    *("PartitionedCall", "StatefulPartitionedCall"),
)
# Parts of the names of operations whose output changes from call to call.
CHANGING = ("Random", "Multinomial", "TruncatedNormal", "Assign")


@dataclasses.dataclass(frozen=True)
class BlockCost:
    """Multiply-adds of one block for one image.

    Attributes
    ----------
    forward : float
    weight_gradient : float
        For the gradients of its weights.
    inner_gradient : float
        For the gradients that flow within the block, if its input needs no gradient.
    input_gradient : float
        More, if its input needs a gradient too.
    products : int
        Convolutions and matrix products of its forward pass.
    parameters : int
        Its trainable weights.
    held : int
        Bytes that its backward pass needs of its forward pass, its output included.
    features : int
        Bytes of its output.
    inference : float, optional
        For the forward pass of the frozen block, if it is another than `forward`.
    dropped : BlockCost, optional
        With stochastic depth, the cost where the branch is dropped.
    survival : float
        With stochastic depth, the share of training steps in which the branch is computed, after
        the warm-up.
    seconds : BlockCost, optional
        The same in seconds, if they were measured (`batch.training.block_times`).
    """

    forward: float
    weight_gradient: float
    inner_gradient: float
    input_gradient: float
    products: int = 0
    parameters: int = 0
    held: int = 0
    features: int = 0
    inference: float | None = None
    dropped: "BlockCost | None" = None
    survival: float = 1.0
    seconds: "BlockCost | None" = None

    def frozen(self):
        """For the forward pass of the frozen block."""
        return self.forward if self.inference is None else self.inference

    def expected(self):
        """The mean cost where the branch is dropped at random."""
        if self.dropped is None:
            return self
        parts = ("forward", "weight_gradient", "inner_gradient", "input_gradient")
        share = self.survival
        mean = {p: share * getattr(self, p) + (1 - share) * getattr(self.dropped, p) for p in parts}
        return dataclasses.replace(self, **mean, dropped=None, survival=1.0)


def block_costs(network):
    """The cost of every block of a `keras.Sequential`, the classifier included."""
    instance("network", network, keras.Sequential, "a keras.Sequential")
    return [_cost(layer) for layer in network.layers]


@dataclasses.dataclass(frozen=True)
class Forward:
    """A block's forward pass in inference mode, for one image.

    Attributes
    ----------
    cost : int
        Multiply-adds.
    outputs : TensorSpec
        Their shape `(1, …)` and type.
    random : bool
        Whether it has random operations even so, or assigns variables.
    """

    cost: int
    outputs: tf.TensorSpec
    random: bool


def forward(layer, inputs):
    """The `Forward` of a block for inputs of a shape `(1, …)` and type, a TensorSpec."""

    def infer(features):
        return run(layer, tf.cast(features, layer.input.dtype), False)

    graph = tf.function(infer, autograph=False).get_concrete_function(inputs).graph
    return _forward(graph, lambda tensor: tensor.shape)


def forward_of(graph):
    """The `Forward` of a block from its graph for batches of any size, which need no other trace.

    None if that does not tell what one image costs. Its first output is the block's.
    """
    mixing = (op for op in graph.get_operations() if op.type in MIXING)
    mixed = any(not made.shape.is_fully_defined() for op in mixing for made in op.outputs)
    if mixed or not graph.outputs[0].shape[1:].is_fully_defined():
        return None
    return _forward(graph, _of_one)


def _forward(graph, shape):
    outputs = graph.outputs[0]
    return Forward(
        sum(_products(graph.get_operations(), shape)),
        tf.TensorSpec(shape(outputs), outputs.dtype),
        any(word in operation for operation in operations(graph) for word in CHANGING),
    )


def _of_one(tensor):
    """The shape of a tensor for one image, where the first axis is that of a batch of any size."""
    shape = tensor.shape
    return tf.TensorShape([1, *shape[1:]]) if shape.rank and shape[0] is None else shape


def step_cost(costs, active, dropping=True):
    """Multiply-adds for one image of a training step in which some blocks are active.

    Every block runs forward. From the first active block on, gradients flow back: through all
    blocks to that one, whose input needs none, and to the weights of the active ones. With
    stochastic depth this is the expected cost; only active blocks are dropped.

    Parameters
    ----------
    costs : list of BlockCost
    active : sequence of bool
        One for each block, the classifier included.
    dropping : bool
        False counts every branch as computed.
    """
    active = _flags("active", active, _checked(costs))
    dropping = true_or_false("dropping", dropping)
    first = active.index(True) if any(active) else len(costs)
    total = 0
    for block, (cost, is_active) in enumerate(zip(costs, active)):
        mean = cost.expected() if is_active and dropping else cost
        total += mean.forward + mean.weight_gradient if is_active else mean.frozen()
        if block >= first:
            total += mean.inner_gradient
        if block > first:
            total += mean.input_gradient
    return total


def frozen_ratios(costs):
    """Cost of a step with 0, 1, … all leading blocks frozen, over that with none frozen.

    Costs that were measured count in seconds.
    """
    costs = measured(_checked(costs))
    blocks = len(costs)
    stages = [[block >= frozen for block in range(blocks)] for frozen in range(blocks - 1)]
    stages.append([False] * blocks)  # the classifier follows the last block
    steps = [step_cost(costs, active) for active in stages]
    return np.array(steps) / steps[0]


def predicted_ratio(costs, schedule, iterations, learns=None):
    """Cost of a run under a schedule, over that of one in which nothing is frozen or dropped.

    A warm-up of stochastic depth is left out: branches count as dropped at their final rate. Costs
    that were measured count in seconds.

    Parameters
    ----------
    costs : list of BlockCost
    schedule : callable
        From the iteration to the rates of the blocks; see `batch.schedules`.
    iterations : int
        Length of the run.
    learns : sequence of bool, optional
        One for each block and, last, the classifier: False if it is frozen for good.
    """
    costs = measured(_checked(costs))
    function("schedule", schedule, "a schedule")
    iterations = positive_whole("iterations", iterations)
    learns = optional(_flags, "learns", learns, costs)
    total = sum(
        (stage.stop - stage.start) * step_cost(costs, stage.active)
        for stage in stages(schedule, iterations, len(costs) - 1, learns)
    )
    whole = step_cost(costs, (True,) * len(costs), dropping=False)
    return total / (iterations * whole)


def measured(costs):
    """Costs of blocks in seconds where all were measured, else as they are."""
    seconds = [cost.seconds for cost in costs]
    return costs if None in seconds else seconds


def _flags(name, values, costs):
    """The values as a list, if they are a bool for each block."""
    values = sequence(name, values, "bools, one for each block")
    if len(values) != len(costs):
        raise ValueError(
            f"{name} must be a bool for each of the {len(costs)} blocks. {received(values)}"
        )
    return [true_or_false(name, value) for value in values]


def _checked(costs):
    return sequence_of("costs", costs, BlockCost, "BlockCosts, one for each block")


def _cost(layer):
    entry = tf.TensorSpec((1, *layer.input.shape[1:]), layer.input.dtype)
    if not isinstance(layer, StochasticDepth):
        return _traced(lambda inputs: run(layer, inputs, True), layer.trainable_variables, entry)
    block, variables = layer.block, layer.trainable_variables
    dropped = _traced(
        lambda inputs: block.shortcut(layer.entry(inputs, True), True), variables, entry
    )
    whole = _traced(lambda inputs: block(inputs, training=True), variables, entry)
    return dataclasses.replace(whole, dropped=dropped, survival=layer.computed)


def _traced(forward, variables, entry):
    variables = [variable.value for variable in variables]
    counted = []

    def both_passes(inputs):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*variables, inputs])
            outputs = forward(inputs)
        *weights, of_input = tape.gradient(outputs, [*variables, inputs])
        counted.append(
            _counted(outputs, [gradient for gradient in weights if gradient is not None], of_input)
        )

    tf.function(both_passes, autograph=False).get_concrete_function(entry)
    parameters = sum(variable.shape.num_elements() for variable in variables)
    return dataclasses.replace(counted[0], parameters=parameters)


def _counted(outputs, weights, of_input):
    """The cost of a block, from its outputs and the gradients of its weights and of its input."""
    ahead = _needed([outputs])
    without = _needed([outputs, *weights])
    whole = _needed([outputs, *weights, *([] if of_input is None else [of_input])])
    forward, to_weights, everything = (sum(_products(ops)) for ops in (ahead, without, whole))
    # The gradient of a weight costs as much as the product that it is used in.
    weight_gradient = forward if weights else 0
    read = {
        tensor.ref(): tensor for op in whole - ahead for tensor in op.inputs if tensor.op in ahead
    }
    read[outputs.ref()] = outputs
    held = [tensor for tensor in read.values() if not _is_given(tensor.op)]
    return BlockCost(
        forward=forward,
        weight_gradient=weight_gradient,
        inner_gradient=to_weights - forward - weight_gradient,
        input_gradient=everything - to_weights,
        products=len(_products(ahead)),
        held=sum(map(_bytes, held)),
        features=_bytes(outputs),
    )


def _bytes(tensor):
    return (tensor.shape.num_elements() or 0) * tensor.dtype.size


def _is_given(op):
    """Whether an operation gives an input or a weight, which take no memory of their own here."""
    op = op.inputs[0].op if op.type == "Cast" else op
    return op.type in ("Placeholder", "ReadVariableOp", "Const")


def _needed(tensors):
    """All operations that some tensors are computed by."""
    needed, waiting = set(), [tensor.op for tensor in tensors]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [tensor.op for tensor in op.inputs]
    return needed


def _products(ops, shape=lambda tensor: tensor.shape):
    """Multiply-adds of the convolutions and matrix products among some operations.

    Those of unknown shape are left out.
    """
    return [_COUNT[op.type](op, shape) for op in ops if op.type in _COUNT]


def _convolution(outputs, kernel):
    known = outputs[:3].is_fully_defined() and kernel.is_fully_defined()
    return int(np.prod(outputs[:3]) * np.prod(kernel)) if known else 0


_COUNT = {
    "Conv2D": lambda op, shape: _convolution(shape(op.outputs[0]), op.inputs[1].shape),
    "Conv2DBackpropFilter": lambda op, shape: _convolution(op.inputs[2].shape, op.outputs[0].shape),
    "Conv2DBackpropInput": lambda op, shape: _convolution(op.inputs[2].shape, op.inputs[1].shape),
    "MatMul": lambda op, shape: (
        (shape(op.outputs[0]).num_elements() or 0)
        * (op.inputs[0].shape[0 if op.get_attr("transpose_a") else 1] or 0)
    ),
}


def operations(graph):
    """Types of the operations in a graph and in the functions that it calls, as a set."""
    made = graph.as_graph_def()
    inner = (node for function in made.library.function for node in function.node_def)
    return {node.op for node in (*made.node, *inner)}
