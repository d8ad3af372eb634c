"""A training step of the small ResNet in bfloat16, nothing frozen.

In turns of 20 steps. Without units for it, a processor computes bfloat16 more slowly than float32.
"""

import numpy as np

from batch.models.named import ResNet
from research.benchmarks.harness import Part, compared, in_turns_of
from research.benchmarks.small import SGD, random_examples
from research.benchmarks.torch_peer import torch_versions
from research.environment import bfloat16_units

STEPS = 20  # in a turn
TORCH = "PyTorch, eager, channels_last, bfloat16 by autocast"


def parts(quick=False):
    """All in one; quick, in turns of fewer steps."""
    steps = 5 if quick else STEPS

    def measure(repetitions, batch_size):
        return _rows(repetitions, batch_size, steps)

    return [Part("step", measure, 10, 0.8, steps)]


def _rows(repetitions, batch_size, steps):
    images, labels = random_examples(20 * batch_size)
    versions = {name: _step(name, images, labels, batch_size) for name in ("bfloat16", "float32")}
    versions |= torch_versions(images, labels, batch_size, SGD, TORCH, bfloat16=True)
    seconds = in_turns_of(steps, versions, repetitions)
    note = f"units for bfloat16: {bfloat16_units()}"
    return [
        compared("bfloat16 step", seconds["bfloat16"], peer, seconds.get(peer), note=note)
        for peer in ("float32", TORCH)
    ]


def _step(precision, images, labels, batch_size):
    inputs = {"images": {"shape": (28, 28, 1), "classes": 10}}
    model = ResNet({"inputs": inputs, "optimizer": ("SGD", SGD), "precision": precision})
    rng = np.random.default_rng(0)
    return lambda: model.train(images, labels, rows=rng.integers(0, len(images), batch_size))
