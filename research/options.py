"""Options of the commands that train: network, training, methods; and what their values may be."""

import argparse

from batch.spelling import did_you_mean
from research.arguments import (
    base,
    count,
    depths,
    folder,
    image_shape,
    new_folder,
    not_negative,
    optimizer,
    pattern,
    positive,
    probability,
    share,
)
from research.experiments.recipes import FINE_TUNING, MODEL_OPTIONS
from research.methods import METHODS, users
from research.methods.freezeout import PRESETS
from research.names import (
    BASES_IN_WORDS,
    BLOCKS,
    COSTS,
    FORMATS,
    METRICS,
    MODELS,
    STRATEGIES,
    top_k,
)


def add_run_options(parser):
    """Add what `compare` and `train` have in common."""
    network = parser.add_argument_group("network")
    network.add_argument(
        "--model",
        choices=MODELS,
        help="the small ResNet, or a published network (default: resnet)",
    )
    _add_network_options(network)
    network.add_argument(
        "--base",
        type=base,
        metavar="NAME|FILE",
        help="fine-tune a pre-trained network, with a new classifier: "
        f"{BASES_IN_WORDS}; or a file that train, import, TFModel.save or Keras wrote; its blocks "
        "run in inference mode",
    )
    network.add_argument(
        "--freeze-first",
        type=depths,
        metavar="K",
        help="of --base: its first K blocks are frozen for good, and what they compute is read "
        "from the cache (default: 0); compare takes several, as 0,3,5, and says which of them no "
        "other beats",
    )
    network.add_argument(
        "--freeze",
        type=pattern,
        nargs="+",
        metavar="PATTERN",
        help="of --base: regular expressions of blocks, and of layers in them, to freeze for good, "
        "as 'block[0-4]'",
    )
    network.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="(default: float32)"
    )
    _add_training_options(parser.add_argument_group("training"))
    _add_method_options(parser.add_argument_group("methods"))
    parser.add_argument(
        "--costs",
        choices=COSTS,
        help="what predictions of time are made from: FLOPs, or the seconds that each block is "
        f"measured to take, before the run (default: {COSTS[0]})",
    )
    parser.add_argument(
        "--data",
        metavar="NAME|PATH",
        help="digits, mnist, fashion_mnist, cifar10, cifar100, an .npz, a folder with .blk files, "
        "or one with a folder of images for each class (default: digits)",
    )
    parser.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out images of a folder that can't be used, and say how many",
    )
    parser.add_argument("--threads", type=count, metavar="N", help="(default: one a processor)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_out(parser, "a new one under runs/")
    parser.set_defaults(strategy=None)  # only train has the option


def add_import_options(parser):
    """Add the network that weights are moved to."""
    group = parser.add_argument_group("network")
    group.description = (
        "The weights tell all of it but --dropout, whatever the defaults of train are. What is "
        "given must agree with them."
    )
    models = MODELS[1:]  # the small ResNet is of no program
    group.add_argument("--model", choices=models, required=True, help="the published network")
    _add_network_options(group)
    group.add_argument("--classes", type=count, metavar="N", help="(default: those of the weights)")
    group.add_argument(
        "--image-shape",
        type=image_shape,
        metavar="HxW",
        help="of the images, as 32x32, or 32x32x3 with their channels (default: any size; a vgg "
        "has one, which its weights tell if it has hidden dense layers)",
    )


def _add_network_options(group):
    group.add_argument(
        *("-L", "--depth"),
        type=_depth,
        metavar="L",
        help="of densenet (default: 76), wideresnet (28), vgg (16, or D)",
    )
    group.add_argument(
        *("-k", "--growth-rate"), type=count, metavar="K", help="of densenet (default: 12)"
    )
    group.add_argument(
        "--bottleneck",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="of densenet (default: yes)",
    )
    group.add_argument("--compression", type=share, metavar="θ", help="of densenet (default: 0.5)")
    group.add_argument("--widen-factor", type=count, metavar="K", help="of wideresnet (default: 2)")
    group.add_argument(
        "--dropout",
        type=probability,
        metavar="P",
        help="of wideresnet (default: 0), efficientnetlite0 (0.2)",
    )
    group.add_argument(
        "--block",
        type=lambda text: text.replace(" ", ""),
        choices=BLOCKS,
        help="of wideresnet, in quotes (default: 'B(3,3)')",
    )


def _add_training_options(group):
    published = ", ".join(MODEL_OPTIONS)
    group.description = (
        f"Defaults are those of the notebook; for {published}, the paper's (…); with --base, "
        "{epochs} epochs of batches of {batch_size}, rate {learning_rate}, momentum {momentum}."
    ).format(**FINE_TUNING)
    length = group.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=count, metavar="N", help="(default: 150)")
    length.add_argument("--epochs", type=count, metavar="N", help="(default: – (100))")
    group.add_argument("--batch-size", type=count, metavar="N", help="(default: 300 (50))")
    group.add_argument(
        "--learning-rate", type=positive, metavar="RATE", help="(default: the method's (0.1))"
    )
    group.add_argument(
        "--momentum",
        type=probability,
        metavar="M",
        help="Nesterov's (default: the method's (0.9))",
    )
    group.add_argument(
        "--optimizer",
        type=optimizer,
        metavar="NAME[:KEY=VALUE,…]",
        help="one of Keras' for all methods alike, as SGD:momentum=0.9,nesterov=true; its rate is "
        "that of --learning-rate and the method's schedule (default: the method's)",
    )
    group.add_argument(
        "--weight-decay",
        type=not_negative,
        metavar="λ",
        help="L2, in the gradients of active blocks (default: 0 (1e-4))",
    )
    _add_image_options(group)


def _add_image_options(group):
    for name, what in (
        ("augment", "crop with a margin of 4 pixels, and flip, at random"),
        ("normalize", "mean and deviation of each channel"),
    ):
        group.add_argument(
            f"--{name}",
            action=argparse.BooleanOptionalAction,
            default=None,
            help=f"{what} (default: no (yes))",
        )
    group.add_argument(
        "--views",
        type=count,
        metavar="K",
        help="of --augment: each image has K fixed crops, seen in turn, so that what frozen blocks "
        "compute can be kept (default: a new crop in every step)",
    )
    for split, what in (("train", "train on"), ("test", "test on")):
        called = "training" if split == "train" else "test"
        group.add_argument(
            f"--{split}-images",
            type=count,
            metavar="N",
            help=f"{what} N images of the {called} split, always the same, every class in "
            "proportion (default: all)",
        )
    group.add_argument(
        "--image-size",
        type=count,
        metavar="N",
        help="enlarge or reduce images to N×N pixels, by bilinear interpolation (default: as they "
        "are; of a folder of images of several sizes, the median of their shorter sides)",
    )


def _add_method_options(group):
    """Add what our methods say of their options, each once."""
    group.description = "A method of your own may read the same options."
    options = {}
    for method in METHODS.values():
        options |= method.options
    for name, option in options.items():
        if option.flag:
            text = f"of {', '.join(users(name))}: {option.help_text()}"
            flag = f"--{name.replace('_', '-')}"
            group.add_argument(flag, default=None, help=text, **option.flag)
    group.add_argument(
        "--preset",
        choices=PRESETS,
        help="--t-0, --how-scale and --scale-lr by a name: 'thrifty' is what saved most of "
        "FreezeOut's schedules within 0.1 points on MNIST",
    )


def add_watching_options(parser):
    """Add what is evaluated, written and saved while a run goes."""
    group = parser.add_argument_group("while it trains")
    group.add_argument(
        "--eval-every",
        type=count,
        metavar="N",
        help="evaluate after the first iteration, every N, and the last, and print a line (default:"
        " after every epoch, without a line)",
    )
    group.add_argument(
        "--eval-batches",
        type=count,
        metavar="N",
        help="batches to evaluate on, always the same ones (default: the whole split)",
    )
    group.add_argument(
        "--metrics",
        type=_metrics,
        default=METRICS,
        metavar="LIST",
        help="comma-separated, of cross_entropy, accuracy, top5 or another number (default: "
        "cross_entropy,accuracy)",
    )
    add_tensorboard(group)
    add_resuming(group)
    group.add_argument(
        "--keep-checkpoints",
        type=count,
        metavar="K",
        help="of --checkpoint-every: the newest K stay (default: 3)",
    )


def add_tensorboard(parser):
    """Add the folder of TensorBoard's files."""
    parser.add_argument(
        "--tensorboard",
        type=folder,
        metavar="DIR",
        help="write what TensorBoard shows (default: nothing)",
    )


def add_resuming(parser, of=""):
    """Add checkpoints, and going on with what an interrupted command left."""
    parser.add_argument(
        "--checkpoint-every",
        type=count,
        metavar="N",
        help=f"save a checkpoint{of and ' '}{of} every N iterations (default: about every five "
        "minutes, and removed at the end)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with what an interrupted command left for --out; give the same options again",
    )


def add_strategy(parser):
    """The option of a single run, which may be spread over devices."""
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        help="train on all devices of this machine together, or on all workers that TF_CONFIG "
        "names, each running the same command with an --out of its own (default: on one device)",
    )


def add_format(parser):
    """The option of the command that draws."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="write the figures for a paper, too: at the width of a column (3.5 inches, letters of "
        "8 points), each with its data as CSV, into DIR/figures",
    )


def add_out(parser, default):
    """Add the folder to write."""
    parser.add_argument(
        "--out", type=new_folder, metavar="DIR", help=f"folder to write (default: {default})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results in --out")


def _metrics(text):
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in METRICS and not top_k(name)]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"must be different names of {', '.join(METRICS)}, top5 or another number, not {text!r}"
            f"{did_you_mean(unknown, METRICS)}"
        )
    return names


def _depth(text):
    return text.upper() if text.upper() in ("A", "B", "D", "E") else count(text)
