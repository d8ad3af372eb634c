"""Gradients of depthwise convolutions, each in the form that is faster for its shape.

oneDNN, which TensorFlow uses, has a routine for the gradient of a depthwise kernel that is at most
3 wide and no higher than its image. For others it takes one for grouped convolutions, which is far
slower than TensorFlow's own. TensorFlow takes its own if the padding is given in numbers.
"""

import tensorflow as tf

FORMS = ("tensorflow", "by_shape")
WIDEST = 3  # kernel that oneDNN has a routine for
BRANCHES = ("_true_graph", "_false_graph")  # where TensorFlow keeps those of a conditional


def differentiate_by_shape(graph):
    """Let depthwise convolutions in a graph have the gradients that are faster for their shapes.

    The shape of an image, kernel, stride and type decide, nothing else. Gradients differ from
    TensorFlow's in their last bits.

    - The gradient of a kernel that is wider than 3, or higher than its image, comes from
      TensorFlow's own routine, in float32. On an Intel Xeon with AVX-512 and AMX, on one thread, it
      takes 0.2 to 0.6 of the time at the shapes of EfficientNet-Lite0 and MobileNetV3, and 0.1 to
      0.7 with oneDNN held to AVX2; for kernels of 7×7, 0.2 to 1. In bfloat16 it takes 0.05 to 0.15,
      and rounds once.
    - In bfloat16, the gradient of the input is computed in float32 where the stride is above 1. It
      takes 0.02 to 0.23 of the time there.

    Others are as they were, and so is what a layer puts into a loop, a `tf.switch_case` or a
    `tf.function` of its own, has an unknown shape, other channels than a multiple of 8 from 24 on,
    or several outputs for each channel.

    Parameters
    ----------
    graph : tf.Graph
        It must not have been differentiated yet.
    """
    for op in graph.get_operations():
        if op.type == "DepthwiseConv2dNative" and (_by_own_routine(op) or _in_float32(op)):
            # A registered gradient would stay in the process, and can't be exported.
            op._gradient_function = _gradients  # noqa: SLF001
        for branch in BRANCHES:
            if hasattr(op, branch):
                differentiate_by_shape(getattr(op, branch))


def _by_own_routine(op):
    """Whether the kernel's gradient is faster by TensorFlow's own routine."""
    if not _is_known(op):
        return False
    height, width, channels, _ = op.inputs[1].shape
    slow = width > WIDEST or op.inputs[0].shape[1] < _least_height(op, height)
    return slow and channels >= 24 and channels % 8 == 0


def _least_height(op, height):
    """Of images, for oneDNN's routine: that of the kernel, from the first row on a stride."""
    top, _ = _padding(op, 1)
    return height + -top % op.get_attr("strides")[1]


def _in_float32(op):
    """Whether the input's gradient is faster in another type than it has."""
    return _is_known(op) and op.inputs[0].dtype == tf.bfloat16 and op.get_attr("strides")[1] > 1


def _is_known(op):
    """Whether a depthwise convolution is of a kind whose forms were measured."""
    inputs, kernel = op.inputs
    return (
        inputs.dtype in (tf.float32, tf.bfloat16)
        and inputs.shape[1:].is_fully_defined()
        and kernel.shape.is_fully_defined()
        and kernel.shape[3] == 1
        and op.get_attr("data_format") == b"NHWC"
        and op.get_attr("padding") in (b"SAME", b"VALID")
    )


def _padding(op, axis):
    """Zeros before and after an axis of the images, 1 or 2."""
    if op.get_attr("padding") == b"VALID":
        return 0, 0
    size, window = op.inputs[0].shape[axis], op.inputs[1].shape[axis - 1]
    stride = op.get_attr("strides")[axis]
    both = max((-(-size // stride) - 1) * stride + window - size, 0)
    return both // 2, both - both // 2


def _gradients(op, upstream):
    """The gradients of a depthwise convolution by its input and by its kernel."""
    inputs, kernel = op.inputs
    settings = {name: op.get_attr(name) for name in ("strides", "dilations", "padding")}
    dtype = tf.float32 if _in_float32(op) else inputs.dtype
    of_input = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(inputs),
        filter=tf.cast(kernel, dtype),
        out_backprop=tf.cast(upstream, dtype),
        **settings,
    )
    dtype = inputs.dtype
    if _by_own_routine(op):
        dtype = tf.float32
        sides = [0, 0, *_padding(op, 1), *_padding(op, 2), 0, 0]
        settings.update(padding="EXPLICIT", explicit_paddings=sides)
    of_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=tf.cast(inputs, dtype),
        filter_sizes=tf.shape(kernel),
        out_backprop=tf.cast(upstream, dtype),
        **settings,
    )
    return tf.cast(of_input, inputs.dtype), tf.cast(of_kernel, kernel.dtype)
