"""Fine-tuning a pre-trained base: whole runs, each in a process of its own.

First a new classifier on the frozen base, over ten epochs. Then the last stage learns too, at a
smaller rate, over five more; the rest stays frozen. Frozen blocks are read from the cache. Against
the same without a cache and the same under Keras' `fit`, stock Keras with `trainable=False` and
`training=False`, with TensorFlow as it comes and with oneDNN on, and on JAX, features computed once
by `predict` and a classifier on them, and PyTorch with the base under `no_grad`. Seconds are from
the base, which is loaded, to the trained network, compilation included. The note has the most
memory that each took beyond what was imported, until then, and the accuracy, where the weights are
real ones; both in the order of the columns. It also says whether the losses are those without a
cache, and for how many seconds more `fit` only waited for tf.data (`stock.Waits`), which are not
counted.
"""

import dataclasses
import importlib.util
import os
import tempfile

import numpy as np
from tqdm import tqdm

from batch.data.data import DataError, load_data
from batch.data.resize import resized
from batch.networks.efficientnet import IMAGENET, STAGES, efficientnet_lite0
from batch.networks.from_torch import from_torch, imagenet_weights
from batch.runtime import set_threads
from research.benchmarks.finetune_case import CLASSES, Case
from research.benchmarks.finetune_ours import convolutions
from research.benchmarks.harness import Part, compared, not_measured
from research.benchmarks.processes import Process, environment
from research.benchmarks.small import random_examples

RUNS = 3  # whole runs of each version, at most
OURS, NO_CACHE = "ours", "ours, no cache"
TFMODEL, BLOCKMODEL, FIT, HEAD, TORCH = (
    f"research.benchmarks.finetune_{name}"
    for name in (
        *("ours:tuned", "ours:under_fit"),
        *("keras:fitted", "keras:from_features", "torch:tuned"),
    )
)
FIRST_ALONE = {"further": 0}  # of versions that are peers in the first phase only
VERSIONS = {  # what makes each, with which arguments, in which environment, and what it needs
    OURS: (TFMODEL, {"cache": "auto"}, {}, "keras"),
    NO_CACHE: (TFMODEL, {"cache": "off"}, {}, "keras"),
    "ours, under Keras' fit": (BLOCKMODEL, FIRST_ALONE, {}, "keras"),
    "stock Keras, fit, as it comes": (FIT, {}, {"onednn": None}, "keras"),
    "stock Keras, fit, oneDNN on": (FIT, {}, {"onednn": "1"}, "keras"),
    "Keras, features by predict": (HEAD, FIRST_ALONE, {"onednn": "1"}, "keras"),
    "PyTorch, base under no_grad": (TORCH, FIRST_ALONE, {}, "torch"),
    "stock Keras on JAX, fit": (FIT, FIRST_ALONE, {"backend": "jax"}, "jax"),
}
PHASES = "new classifier", "and last stage"


def resnet50(count, **lengths):
    """`keras.applications.ResNet50` with random weights, and random images of 96×96."""

    def prepare(folder):
        case = Case("resnet50", folder, (96, 96, 3), last=["conv5"], **lengths)
        case.save("train", *random_examples(count, case.shape))
        return case

    return prepare


def pretrained(count, side):
    """EfficientNet-Lite0 with weights from ImageNet, and images of CIFAR-10, enlarged."""

    def prepare(folder):
        data = load_data("cifar10")
        network = efficientnet_lite0((side, side, 3), CLASSES)
        from_torch(imagenet_weights(network), network)
        last = [layer.name for layer in network.layers[-3:-1]]
        case = Case("efficientnet_lite0", folder, (side, side, 3), last, STAGES, IMAGENET)
        pairs = convolutions(network.layers)
        case.save_weights(
            [array for pair in pairs for part in pair for array in part.get_weights()]
        )
        for name in ("train", "test"):
            split = getattr(data, name)
            case.save(name, resized(split.images[:count], side), split.labels[:count])
        return case

    return prepare


def parts(quick=False):
    """ResNet50 and EfficientNet-Lite0; quick, the first, two epochs of few images."""
    if quick:
        base = resnet50(100, epochs=2, further=0)
        return [_part("ResNet50, 100 images", base, 10, 85, most=1)]
    return [
        _part("ResNet50, 1,000 images", resnet50(1000), 10, 800),
        _part("EfficientNet-Lite0, 2,000 images", pretrained(2000, 128), 30, 1450),
    ]


def _part(name, prepare, once, each, most=RUNS):
    def measure(repetitions, _):
        return rows(name, prepare, repetitions)

    return Part(name, measure, once, each, most=most)


def rows(name, prepare, repetitions, begin=Process):
    """Rows of a base.

    Parameters
    ----------
    name : str
    prepare : callable
        Writes what the runs need into a folder, and returns their `Case`.
    repetitions : int
    begin : callable
        As `Process`, to begin a version.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            case = prepare(folder)
        except (DataError, ImportError) as error:
            return [not_measured(name, error)]
        runs = _in_turn(case, repetitions, begin)
    return [
        _row(f"{name}, {PHASES[phase]}, {epochs} epochs", phase, peer, runs)
        for phase, epochs in enumerate((case.epochs, case.further))
        if epochs
        for peer in VERSIONS
        if peer != OURS and VERSIONS[peer][1].get("further", phase) == phase
    ]


def _in_turn(case, repetitions, begin):
    """The phases of each run of each version that can run here."""
    threads, runs = set_threads(), {}
    usual = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    turns = [(seed, version) for seed in range(repetitions) for version in VERSIONS]
    for seed, version in tqdm(turns, leave=False, unit="run"):
        make, arguments, settings, package = VERSIONS[version]
        if not importlib.util.find_spec(package):
            continue
        these = dataclasses.asdict(dataclasses.replace(case, seed=seed, threads=threads))
        around = environment(threads, **{"onednn": usual, **settings})
        with begin(make, {**these, **arguments}, around) as run:
            runs.setdefault(version, []).append(run())
    return runs


def _row(what, phase, peer, runs):
    ours, theirs = ([run[phase] for run in runs.get(one, [])] for one in (OURS, peer))
    seconds = [np.array([run["seconds"] for run in some]) for some in (ours, theirs)]
    note = _note(ours, theirs, compare_losses=peer == NO_CACHE) if theirs else ""
    return compared(what, seconds[0], peer, seconds[1] if theirs else None, note=note)


def _note(ours, theirs, compare_losses):
    """Memory, accuracy, waits, and whether the losses are equal."""
    both = ours, theirs
    memory = [f"{max(run['megabytes'] for run in some):.0f} MB" for some in both]
    parts = [", ".join(memory)]
    if ours[0]["accuracy"] is not None:
        means = [f"{np.mean([run['accuracy'] for run in some]):.3f}" for some in both]
        parts.append(f"accuracy {', '.join(means)}")
    waited = np.median([run["waited"] for run in theirs])
    if waited > 0.5:
        parts.append(f"{waited:.0f} s more in waits")
    if compare_losses:
        pairs = [pair for runs in zip(*both) for pair in zip(*(run["losses"] for run in runs))]
        other = sum(one != another for one, another in pairs)
        equal = f"all {len(pairs)} losses equal bit for bit"
        parts.append(f"{other} of {len(pairs)} losses differ in bits" if other else equal)
    return "; ".join(parts)
