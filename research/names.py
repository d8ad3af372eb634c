"""Names that the command line offers: it reads them without TensorFlow."""

import re

MODELS = (
    *("resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("wideresnet", "densenet", "vgg", "efficientnetlite0"),
)
APPLICATIONS = (  # pre-trained networks that Keras downloads
    *("mobilenetv3", "mobilenetv3large", "mobilenetv3small", "mobilenet", "mobilenetv2"),
    *("resnet50", "resnet101", "resnet152", "resnet50v2", "resnet101v2", "resnet152v2"),
    *("vgg16", "vgg19", "xception", "inceptionv3", "inceptionresnetv2"),
    *("densenet121", "densenet169", "densenet201"),
    *(f"efficientnetb{size}" for size in range(8)),
    *(f"efficientnetv2{size}" for size in ("b0", "b1", "b2", "b3", "s", "m", "l")),
    *(f"convnext{size}" for size in ("tiny", "small", "base", "large", "xlarge")),
)
BASES = ("efficientnet-lite0", *APPLICATIONS)  # pre-trained networks that are no files
BASES_IN_WORDS = (
    f"{BASES[0]}, resnet50, mobilenetv3 or another of keras.applications, in lower case"
)
NOT_RESIDUAL = ("densenet", "vgg")  # networks that stochastic depth has nothing to drop in
BLOCKS = ("B(3,3)", "B(3,1)", "B(1,3)", "B(1,3,1)", "B(3,1,1)", "B(3,1,3)")  # of wideresnet
PARTIAL = ".partial"  # ends the name of what is not whole yet
CACHES = ("auto", "memory", "mapped", "compressed", "off")  # of what frozen blocks compute
FORMATS = ("pdf", "png", "svg")  # of figures for a paper
STRATEGIES = ("mirrored", "multiworker")  # which devices train together
ENGINES = ("local", "ray")  # what makes the runs of a comparison
COSTS = ("flops", "measured")  # of blocks, for predictions
MARGIN = 0.1  # points of accuracy that a method may lose and still be no worse
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
