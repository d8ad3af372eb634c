"""A training step of FreezeOut's networks on 32×32×3, with 0, ¼, ½ and ¾ of their blocks frozen.

Against the unfrozen step, beside the ratio counted from the blocks' FLOPs, without a cache; and the
unfrozen step against that of the same network in PyTorch. The step of a network with depthwise
convolutions, nothing frozen, with gradients chosen by shape against TensorFlow's.
"""

import functools

import numpy as np
import tensorflow as tf

from batch import VGG, DenseNet, EfficientNetLite0, WideResNet, flops
from batch.data.examples import Examples
from batch.training.depthwise import FORMS
from research.benchmarks.freezeout import StageByHand
from research.benchmarks.harness import Part, compared, in_turns_of
from research.benchmarks.small import random_examples
from research.benchmarks.torch_peer import torch_versions

NETWORKS = {  # model, options, the name of the network's peer, and seconds of `Part`
    "DenseNet-BC 76, k 12": (DenseNet, {"depth": 76, "growth_rate": 12}, "densenet", 90, 3.1),
    "WRN-16-4": (WideResNet, {"depth": 16, "widen_factor": 4}, "wide_resnet", 20, 1.7),
    "VGG-D": (VGG, {"depth": "D"}, "vgg", 25, 1.8),
}
QUICK = ("WRN-16-4",)
DEPTHWISE = {"EfficientNet-Lite0": (EfficientNetLite0, {}, (96, 96, 3))}
SHARE = 6  # the paper's batch is 50, of the 300 that benchmarks have by default
STEPS = 3  # in a turn, so that the threads of one library meet the other's steps seldom
SGD = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}


TORCH = "PyTorch, eager, channels_last"
COUNT, SHAPE = 2000, (32, 32, 3)


def parts(quick=False):
    """A network each; quick, the one that is made soonest."""
    chosen = QUICK if quick else NETWORKS
    frozen = [
        Part(name, functools.partial(_rows, name), *NETWORKS[name][3:], STEPS) for name in chosen
    ]
    depthwise = [
        Part(name, functools.partial(_depthwise_rows, name), 40, 0.7, STEPS)
        for name in ([] if quick else DEPTHWISE)
    ]
    return frozen + depthwise


def _rows(name, repetitions, batch_size):
    model, options, peer, *_ = NETWORKS[name]
    batch_size = max(batch_size // SHARE, 1)
    examples = random_examples(COUNT, SHAPE)
    trainer = trainer_by_hand(model, options)
    quarters = [round(trainer.blocks * part / 4) for part in range(4)]
    versions = {frozen: step_by_hand(trainer, frozen, examples, batch_size) for frozen in quarters}
    versions |= torch_versions(*examples, batch_size, SGD, TORCH, network=(peer, options))
    seconds = in_turns_of(STEPS, versions, repetitions)
    expected = flops.frozen_ratios(flops.block_costs(trainer.network))
    name = f"{name}, batch {batch_size}"
    for frozen in quarters[1:]:
        what = f"{name}, {frozen} of {trainer.blocks} frozen"
        yield compared(what, seconds[frozen], "0 frozen", seconds[0], expected[frozen])
    yield compared(name, seconds[0], TORCH, seconds.get(TORCH))


def _depthwise_rows(name, repetitions, batch_size):
    model, options, shape = DEPTHWISE[name]
    batch_size = max(batch_size // SHARE, 1)
    examples = random_examples(2 * batch_size, shape)
    versions = {
        form: step_by_hand(
            trainer_by_hand(model, {**options, "depthwise_gradient": form}, shape),
            *(0, examples, batch_size),
        )
        for form in FORMS
    }
    seconds = in_turns_of(STEPS, versions, repetitions)
    what = f"{name}, batch {batch_size}, depthwise gradients by shape"
    return [compared(what, seconds["by_shape"], "TensorFlow's", seconds["tensorflow"])]


def trainer_by_hand(model, options, shape=SHAPE):
    """The trainer of a model for such images, whose frozen blocks are set by hand."""
    inputs = {"images": {"shape": shape, "classes": 10}}
    optimizer = ("SGD", {"momentum": 0.9, "nesterov": True})
    config = {"inputs": inputs, "optimizer": optimizer, "cache": "off", **options}
    trainer = model(config).trainer
    trainer.schedule = StageByHand(trainer.blocks)
    return trainer


def step_by_hand(trainer, frozen, examples, batch_size):
    """A function that makes one step with so many leading blocks frozen."""
    placed = tuple(map(tf.constant, examples))
    rng = np.random.default_rng(0)

    def step():
        trainer.schedule.frozen = frozen
        trainer.step(Examples(*placed, rng.integers(0, len(examples[0]), batch_size)))

    return step
