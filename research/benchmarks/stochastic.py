"""A training step with stochastic depth, every residual branch surviving with the same probability.

Against survival 1: means over turns of 4 steps, beside the ratio of the blocks' FLOPs for the
branches that these steps drew; the note says what survival alone would give. 'masked' computes
every branch and multiplies the dropped ones by zero.
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from batch import Constant, flops
from batch.data.examples import Examples
from batch.networks.resnet import resnet, small_resnet
from batch.networks.stochastic_depth import StochasticDepth, with_stochastic_depth
from batch.training.losses import cross_entropy
from batch.training.optimizers import FusedSGD
from batch.training.trainer import Trainer
from research.benchmarks.harness import Part, compared, in_turn
from research.benchmarks.small import CLASSES, SHAPE

SURVIVALS = (1.0, 0.75, 0.5, 0.0)
STEPS = 4  # in a turn: enough draws without many repetitions
NETWORKS = {  # what makes each, by what the batch size is divided, and seconds of `Part`
    "small ResNet": (lambda: small_resnet(SHAPE, CLASSES), 1, 25, 1.9),
    "ResNet50": (lambda: resnet(50, SHAPE, CLASSES), 3, 120, 7.7),
}


class Masked(StochasticDepth):
    """Stochastic depth that saves nothing."""

    def call(self, inputs, training=None):
        """The block, its branch multiplied by 0 or 1."""
        if not training:
            return super().call(inputs, training)
        alive = tf.cast(self._alive((), self.steps), tf.float32)
        self.steps.assign_add(1)
        return self._whole(inputs, True, alive)


def parts(quick=False):
    """A network each; quick, the small one."""
    chosen = list(NETWORKS)[: 1 if quick else None]
    return [Part(name, functools.partial(_rows, name), *NETWORKS[name][2:]) for name in chosen]


def _rows(name, repetitions, batch_size):
    make, share, *_ = NETWORKS[name]
    batch_size = max(batch_size // share, 1)
    versions = {str(survival): _dropping(make, survival) for survival in SURVIVALS}
    versions["0.5, masked"] = _dropping(make, 0.5, Masked)
    turns = {key: _turn(network, batch_size) for key, network in versions.items()}
    seconds = {key: times / STEPS for key, times in in_turn(turns, repetitions).items()}
    whole = np.array([seconds["1.0"].mean()])
    for key, network in versions.items():
        expected, drawn = _ratios(network, repetitions)
        what = f"{name}, batch {batch_size}, survival {key}"
        mean = np.array([seconds[key].mean()])  # each turn drew other branches
        yield compared(what, mean, "survival 1.0", whole, drawn, f"by survival {expected:.3f}")


def _dropping(make, survival, kind=StochasticDepth):
    layers = with_stochastic_depth(make().layers, survival, rule="uniform")
    layers = [
        kind.from_config(layer.get_config()) if isinstance(layer, StochasticDepth) else layer
        for layer in layers
    ]
    return keras.Sequential([keras.Input(SHAPE), *layers])


def _ratios(network, repetitions):
    """FLOPs of a step over those of a whole one: expected, and with the draws that were timed."""
    costs = flops.block_costs(network)
    if any(isinstance(layer, Masked) for layer in network.layers):
        return 1.0, 1.0
    everything, drawn = [True] * len(costs), []
    for layer, cost in zip(network.layers, costs):
        if isinstance(layer, StochasticDepth):
            last = int(layer.steps)
            timed = layer.survives(range(last - repetitions * STEPS, last))
            cost = dataclasses.replace(cost, survival=timed.mean())
        drawn.append(cost)
    whole = flops.step_cost(costs, everything, dropping=False)
    return tuple(flops.step_cost(parts, everything) / whole for parts in (costs, drawn))


def _turn(network, batch_size):
    """A function that makes the steps of one turn."""
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, (6000, *SHAPE), dtype=np.uint8))
    labels = tf.constant(rng.integers(0, CLASSES, 6000))
    schedule = Constant(len(network.layers) - 1, 0.001)
    trainer = Trainer(network, FusedSGD(momentum=0.9, nesterov=True), schedule, loss=cross_entropy)
    return lambda: [
        trainer.step(Examples(images, labels, rng.integers(0, len(images), batch_size)))
        for _ in range(STEPS)
    ]
