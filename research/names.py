"""Names that the command line offers: it reads them without TensorFlow."""

import re

MODELS = (
    *("resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("wideresnet", "densenet", "vgg", "efficientnetlite0"),
)
BASES = ("efficientnet-lite0",)  # pre-trained networks that are no files
NOT_RESIDUAL = ("densenet", "vgg")  # networks that stochastic depth has nothing to drop in
BLOCKS = ("B(3,3)", "B(3,1)", "B(1,3)", "B(1,3,1)", "B(3,1,1)", "B(3,1,3)")  # of wideresnet
PARTIAL = ".partial"  # ends the name of what is not whole yet
CACHES = ("auto", "memory", "mapped", "compressed", "off")  # of what frozen blocks compute
COSTS = ("flops", "measured")  # of blocks, for predictions
METRICS = ("cross_entropy", "accuracy")  # of an evaluation; and top5, or another number
SUITES = (
    *("step", "precision", "cache", "freezeout", "freezing", "stochastic", "networks", "wide"),
    *("growth", "memory", "saving", "finetune"),
)
BENCH_RECORD = "bench.json"  # what a benchmark has measured so far
OWN_BATCH = ("memory", "saving", "finetune")  # suites with batch sizes of their own


def top_k(metric):
    """The number in a metric like 'top5'; None if it is none."""
    match = re.fullmatch(r"top([1-9]\d*)", metric)
    return match and int(match[1])
