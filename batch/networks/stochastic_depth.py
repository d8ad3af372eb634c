"""Stochastic depth: in training, branches of residual blocks are dropped at random."""

import keras
import numpy as np
import tensorflow as tf

from batch.checks import (
    LARGEST,
    MOST_LAYERS,
    one_of,
    positive_whole,
    probability,
    received,
    sequence,
    whole,
)
from batch.networks import known
from batch.networks.added_losses import conditional
from batch.networks.arguments import MOST_SEED, check_dtype, layers_of
from batch.networks.layers import Block

RULES = ("linear", "uniform")
MODES = ("batch", "sample")
SCALES = ("inference", "train")
METHODS = ("branch", "shortcut", "activation")  # of a residual block
_NAMES = "branch, shortcut and activation"


@keras.saving.register_keras_serializable(package="resbatch")
class StochasticDepth(Block):
    """A residual block that is a shortcut with probability 1 − p while training.

    Parameters
    ----------
    block : keras.layers.Layer
        It has the methods `branch(inputs, training)`, `shortcut(inputs, training)` and
        `activation(outputs)`, like `batch.networks.blocks.ResidualBlock`, and computes
        activation(branch + shortcut). If it also has `entry(inputs, training)`, like
        `PreActivationBlock`, branch and shortcut take its output in place of the inputs.
    survival : float
        Probability p that the branch is computed in a training step, 0 to 1.
    mode : {'batch', 'sample'}
        'batch' draws once for a batch; a dropped branch is not computed, forward or backward.
        'sample' draws for every example, and computes the branch for all.
    scale : {'inference', 'train'}
        Multiply the branch by p at inference, as the paper does, or divide it by p in training.
    warm_up : int
        Training steps in which the probability falls linearly from 1 to p; 0 by default.
    seed : int
        The draws follow from the seed and the number of training steps made.

    Attributes
    ----------
    steps : variable, int64
        Training steps made; saved with the weights, so that a loaded network goes on with the draws
        that would have followed.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or the block lacks a method.

    Notes
    -----
    When a whole batch skips the branch, its batch-normalization statistics do not move, and the
    gradients of its weights are zero. In inference mode, and so in a frozen block, nothing is drawn
    and no step is counted.

    References
    ----------
    Huang et al., Deep Networks with Stochastic Depth, 2016, equations 2 and 5.
    """

    def __init__(
        self,
        block,
        survival=0.5,
        mode="batch",
        scale="inference",
        warm_up=0,
        seed=0,
        **kwargs,
    ):
        if not isinstance(block, keras.layers.Layer) or not is_residual(block):
            raise ValueError(f"A block needs the methods {_NAMES}. {received(block)}")
        check_dtype(kwargs, "block", block)
        super().__init__(**{"name": block.name, "dtype": block.dtype_policy, **kwargs})
        self.block = block
        self.survival = probability("survival", survival)
        self.mode = one_of("mode", mode, MODES)
        self.scale = one_of("scale", scale, SCALES)
        if self.scale == "train" and self.survival == 0:
            raise ValueError(
                "scale='train' divides by survival, which must be above 0. Received: survival=0"
            )
        self.warm_up = whole("warm_up", warm_up, 0, LARGEST)
        self.seed = whole("seed", seed, 0, MOST_SEED)

    def build(self, input_shape):
        if not self.block.built:
            self.block.build(input_shape)
        self.steps = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, name="steps"
        )
        super().build(input_shape)

    def survives(self, steps):
        """Whether the branch is computed after some numbers of steps, in mode 'batch'.

        Parameters
        ----------
        steps : sequence of int

        Returns
        -------
        ndarray of bool
        """
        steps = [whole("steps", step) for step in sequence("steps", steps, "whole numbers")]
        return np.array([self._alive((), step) for step in steps], dtype=bool)

    @property
    def computed(self):
        """Share of the training steps, after the warm-up, in which the branch is computed."""
        return self.survival if self.mode == "batch" else 1.0

    def call(self, inputs, training=None):
        survival = self._survival(self.steps)
        inputs = self.entry(inputs, training)
        if not training:
            return self._whole(inputs, False, survival if self.scale == "inference" else 1.0)
        factor = 1.0 / survival if self.scale == "train" else 1.0
        if self.mode == "sample":
            one_each = (tf.shape(inputs)[0], *[1] * (len(inputs.shape) - 1))
            alive = tf.cast(self._alive(one_each, self.steps), tf.float32)
            outputs = self._whole(inputs, True, factor * alive)
        elif self.survival == 1:
            outputs = self._whole(inputs, True, 1.0)
        else:
            # Both sides of the conditional hold the shortcut. If it stood outside, its inputs would
            # get a second gradient from the conditional: zeros, whenever the branch is dropped.
            outputs = conditional(
                self,
                self._alive((), self.steps),
                lambda: self._whole(inputs, True, factor),
                lambda: self.block.activation(self.block.shortcut(inputs, True)),
            )
        self.steps.assign_add(1)
        return outputs

    def entry(self, inputs, training=None):
        """The input of the block's branch and shortcut."""
        entry = getattr(self.block, "entry", None)
        return inputs if entry is None else entry(inputs, training)

    def _whole(self, inputs, training, factor):
        branch = self.block.branch(inputs, training)
        if not (isinstance(factor, float) and factor == 1):
            branch *= tf.cast(factor, branch.dtype)
        return self.block.activation(branch + self.block.shortcut(inputs, training))

    def _survival(self, steps):
        """The probability after a number of steps: a number, or a tensor with a warm-up."""
        if not self.warm_up:
            return self.survival
        warmed_up = tf.minimum(tf.cast(steps, tf.float32) / self.warm_up, 1.0)
        return 1.0 - (1.0 - self.survival) * warmed_up

    def _alive(self, shape, steps):
        """Whether branches survive: draws that follow from the seed and a number of steps."""
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(steps, tf.int64)])
        return tf.random.stateless_uniform(shape, seed) >= 1.0 - self._survival(steps)

    def get_config(self):
        names = ("survival", "mode", "scale", "warm_up", "seed")
        return {
            **super().get_config(),
            "block": keras.saving.serialize_keras_object(self.block),
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(cls, config):
        block = known.deserialize(config["block"])
        return cls(**{**config, "block": block})


def survival_probabilities(blocks, last=0.5, rule="linear"):
    """Survival probability of each residual block.

    Parameters
    ----------
    blocks : int
        Number of residual blocks L, above 0.
    last : float
        p_L, that of the last block.
    rule : {'linear', 'uniform'}
        p_l = 1 − l/L·(1 − p_L), l = 1 … L, which is the paper's linear decay rule (equation 4); or
        p_L for all.

    Returns
    -------
    ndarray, shape (blocks,), float64

    Examples
    --------
    >>> survival_probabilities(4, 0.6)
    array([0.9, 0.8, 0.7, 0.6])
    """
    blocks, last = positive_whole("blocks", blocks, MOST_LAYERS), probability("last", last)
    if one_of("rule", rule, RULES) == "uniform":
        return np.full(blocks, last)
    return 1.0 - np.arange(1, blocks + 1) / blocks * (1.0 - last)


def with_stochastic_depth(
    layers, survival, rule="linear", *, mode="batch", scale="inference", warm_up=0, seed=0
):
    """The layers with each residual block in a `StochasticDepth`, unless it is in one already.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer
    survival, rule
        `last` and `rule` of `survival_probabilities`.
    mode, scale, warm_up
        As for `StochasticDepth`.
    seed : int
        Each block gets a seed of its own from it.

    Raises
    ------
    ValueError
        If there is no residual block.
    """
    layers, survival = layers_of("layers", layers), probability("survival", survival)
    seed = whole("seed", seed, 0, MOST_SEED)
    residual = [layer for layer in layers if is_residual(layer)]
    if not residual and not any(isinstance(layer, StochasticDepth) for layer in layers):
        raise ValueError(
            f"Stochastic depth needs residual blocks, layers with the methods {_NAMES}. "
            f"Received: {', '.join(dict.fromkeys(type(layer).__name__ for layer in layers))}"
        )
    probabilities = survival_probabilities(max(len(residual), 1), survival, rule).tolist()
    seeds = np.random.SeedSequence([seed, 1]).generate_state(len(residual)).tolist()
    wrapped = {
        id(block): StochasticDepth(
            block, probability, mode=mode, scale=scale, warm_up=warm_up, seed=block_seed
        )
        for block, probability, block_seed in zip(residual, probabilities, seeds)
    }
    return [wrapped.get(id(layer), layer) for layer in layers]


def is_residual(layer):
    """Whether a layer has a branch that can be dropped."""
    return all(callable(getattr(layer, name, None)) for name in METHODS)
