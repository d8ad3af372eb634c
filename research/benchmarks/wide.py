"""A training step of Wide ResNets on 32×32×3: widths 1 to 4, and types of blocks at k = 2.

Median milliseconds a step, in turn with the same network in PyTorch (eager, channels_last), and our
time over PyTorch's; parameters and multiply-adds of a step for one image, in millions.
"""

import numpy as np

from batch import WideResNet, flops
from batch.networks.wide_resnet import BLOCKS
from research.benchmarks.networks import (
    STEPS,
    peers_step,
    random_examples,
    step_by_hand,
    trainer_by_hand,
)
from research.benchmarks.timing import in_turns_of, milliseconds

COLUMNS = (
    *("network", "batch", "parameters, M", "multiply-adds, M", "step, ms", "PyTorch, ms"),
    "over PyTorch",
)
DEPTH = 22  # three blocks in a group, as in the demonstration that the notebook follows
NETWORKS = [{"depth": DEPTH, "widen_factor": width} for width in (1, 2, 3, 4)]
NETWORKS += [
    {"depth": DEPTH, "widen_factor": 2, "block": block} for block in BLOCKS if block != "B(3,3)"
]
BATCH = 64 / 300  # of the batch that benchmarks have by default


def measure(repetitions, batch_size):
    """Rows of the table."""
    batch_size = max(round(BATCH * batch_size), 1)
    return [_row(options, batch_size, max(repetitions // STEPS, 1)) for options in NETWORKS]


def _row(options, batch_size, repetitions):
    images, labels = random_examples()
    trainer = trainer_by_hand(WideResNet, options)
    versions = {
        "ours": step_by_hand(trainer, 0, images, labels, batch_size),
        **peers_step("wide_resnet", options, images, labels, batch_size),
    }
    seconds = in_turns_of(STEPS, versions, repetitions)
    ours, theirs = seconds["ours"], seconds.get("PyTorch")
    costs = flops.block_costs(trainer.network)
    return (
        f"WRN-{options['depth']}-{options['widen_factor']} {options.get('block', '')}".strip(),
        batch_size,
        f"{sum(cost.parameters for cost in costs) / 1e6:.2f}",
        f"{flops.step_cost(costs, (True,) * len(costs)) / 1e6:.0f}",
        milliseconds(ours),
        "" if theirs is None else milliseconds(theirs),
        "" if theirs is None else f"{np.median(ours) / np.median(theirs):.3f}",
    )
