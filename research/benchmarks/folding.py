"""Frozen blocks of the small ResNet with batch normalization folded into their convolutions."""

import tensorflow as tf


def folded_prefix(blocks):
    """The forward pass of a stem and residual blocks, compiled, in inference mode.

    Parameters
    ----------
    blocks : list of ConvolutionBlock and ResidualBlock
        Normalization w·(x − m)/√(v + ε) + b after a convolution with kernel k is a convolution with
        k·w/√(v + ε) and a bias.
    """
    stem, *residual = blocks
    first = _folded(stem.convolution, stem.normalization)
    branches = [
        [_folded(*pair) for pair in zip(block.convolutions, block.normalizations)]
        for block in residual
    ]
    shortcuts = [
        block.projection and _folded(block.projection, block.projection_normalization)
        for block in residual
    ]

    @tf.function(autograph=False)
    def prefix(features):
        features = stem.pool(tf.nn.relu(first(features)))
        for branch, shortcut in zip(branches, shortcuts):
            outputs = features
            for convolution in branch[:-1]:
                outputs = tf.nn.relu(convolution(outputs))
            added = shortcut(features) if shortcut else features
            features = tf.nn.relu(branch[-1](outputs) + added)
        return features

    return prefix


def _folded(convolution, normalization):
    scale = normalization.gamma / tf.sqrt(normalization.moving_variance + normalization.epsilon)
    kernel = tf.constant(convolution.kernel * scale)
    bias = tf.constant(normalization.beta - normalization.moving_mean * scale)
    strides = convolution.strides
    return lambda inputs: tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, strides, "SAME"), bias)
