"""A training step of Wide ResNets on 32×32×3: widths 1 to 4, and types of blocks at k = 2.

Against the same network in PyTorch; the note has parameters, and multiply-adds of a step for one
image.
"""

import functools

from batch import WideResNet, flops
from batch.networks.wide_resnet import BLOCKS
from research.benchmarks.harness import Part, compared, in_turns_of
from research.benchmarks.networks import (
    COUNT,
    SGD,
    SHAPE,
    STEPS,
    TORCH,
    step_by_hand,
    trainer_by_hand,
)
from research.benchmarks.small import random_examples
from research.benchmarks.torch_peer import torch_versions

DEPTH = 22  # three blocks in a group, as in the demonstration that the notebook follows
NETWORKS = [{"depth": DEPTH, "widen_factor": width} for width in (1, 2, 3, 4)]
NETWORKS += [
    {"depth": DEPTH, "widen_factor": 2, "block": block} for block in BLOCKS if block != "B(3,3)"
]
SECONDS = (0.19, 0.48, 0.96, 1.65, 0.39, 0.41, 0.49, 0.42, 0.57)  # `each` of `Part`
BATCH = 64 / 300  # of the batch that benchmarks have by default


def parts(quick=False):
    """A network each; quick, the two that are cheapest."""
    return [
        Part(_name(options), functools.partial(_rows, options), 8, seconds, STEPS)
        for options, seconds in list(zip(NETWORKS, SECONDS))[: 2 if quick else None]
    ]


def _name(options):
    return f"WRN-{options['depth']}-{options['widen_factor']} {options.get('block', '')}".strip()


def _rows(options, repetitions, batch_size):
    batch_size = max(round(BATCH * batch_size), 1)
    examples = random_examples(COUNT, SHAPE)
    trainer = trainer_by_hand(WideResNet, options)
    versions = {
        "ours": step_by_hand(trainer, 0, examples, batch_size),
        **torch_versions(*examples, batch_size, SGD, TORCH, network=("wide_resnet", options)),
    }
    seconds = in_turns_of(STEPS, versions, repetitions)
    costs = flops.block_costs(trainer.network)
    parameters = sum(cost.parameters for cost in costs) / 1e6
    products = flops.step_cost(costs, (True,) * len(costs)) / 1e6
    note = f"{parameters:.2f} M parameters, {products:.0f} M multiply-adds"
    what = f"{_name(options)}, batch {batch_size}"
    return [compared(what, seconds["ours"], TORCH, seconds.get(TORCH), note=note)]
