"""Options of the commands that train: network, training, methods; and what their values may be."""

import argparse
import math

from research.names import BLOCKS, CACHES, HOW_SCALE, METRICS, MODELS, top_k
from research.recipes import MODEL_OPTIONS, PRESETS


def add_run_options(parser):
    """Add what `compare` and `train` have in common."""
    _add_network_options(parser.add_argument_group("network"))
    _add_training_options(parser.add_argument_group("training"))
    methods = parser.add_argument_group("methods")
    _add_schedule_options(methods)
    _add_options_of_constant_rates(methods)
    parser.add_argument(
        "--data",
        metavar="NAME|PATH",
        help="digits, mnist, fashion_mnist, cifar10, cifar100, an .npz, or a folder with .blk "
        "files (default: digits)",
    )
    parser.add_argument("--threads", type=count, metavar="N", help="(default: one a processor)")
    add_out(parser, "a new one under runs/")


def _add_network_options(group):
    group.add_argument(
        "--model",
        choices=MODELS,
        help="the small ResNet, or a published network (default: resnet)",
    )
    group.add_argument(
        "--depth",
        type=_depth,
        metavar="L",
        help="of densenet (default: 76), wideresnet (28), vgg (16, or D)",
    )
    group.add_argument("--growth-rate", type=count, metavar="K", help="of densenet (default: 12)")
    group.add_argument(
        "--bottleneck",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="of densenet (default: yes)",
    )
    group.add_argument("--compression", type=_share, metavar="θ", help="of densenet (default: 0.5)")
    group.add_argument("--widen-factor", type=count, metavar="K", help="of wideresnet (default: 2)")
    group.add_argument(
        "--dropout", type=_probability, metavar="P", help="of wideresnet (default: 0)"
    )
    group.add_argument(
        "--block",
        type=lambda text: text.replace(" ", ""),
        choices=BLOCKS,
        help="of wideresnet, in quotes (default: 'B(3,3)')",
    )
    group.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="(default: float32)"
    )


def _add_training_options(group):
    published = ", ".join(MODEL_OPTIONS)
    group.description = f"Defaults are those of the notebook; for {published}, the paper's (…)."
    length = group.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=count, metavar="N", help="(default: 150)")
    length.add_argument("--epochs", type=count, metavar="N", help="(default: – (100))")
    group.add_argument("--batch-size", type=count, metavar="N", help="(default: 300 (50))")
    group.add_argument(
        "--learning-rate", type=_positive, metavar="RATE", help="(default: the method's (0.1))"
    )
    group.add_argument(
        "--momentum",
        type=_probability,
        metavar="M",
        help="Nesterov's (default: the method's (0.9))",
    )
    group.add_argument(
        "--weight-decay",
        type=_not_negative,
        metavar="λ",
        help="L2, in the gradients of active blocks (default: 0 (1e-4))",
    )
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


def _add_schedule_options(group):
    group.description = "Schedules of freezeout and annealed, and stochastic depth."
    group.add_argument(
        "--t-0",
        type=_share,
        metavar="T0",
        help="when the first block stops, as a share of the schedule, before --how-scale "
        "(default: 0.6 (0.8))",
    )
    group.add_argument(
        "--how-scale",
        choices=HOW_SCALE,
        help="spacing of the blocks' last iterations (default: linear (cubic))",
    )
    group.add_argument(
        "--scale-lr",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="start each block at the learning rate divided by its share (default: no (yes))",
    )
    group.add_argument(
        "--preset",
        choices=PRESETS,
        help="these three by a name: 'thrifty' is what saved most of FreezeOut's schedules within "
        "0.1 points on MNIST",
    )
    group.add_argument(
        "--freeze-every",
        type=count,
        metavar="N",
        help="of layerfreezing and autofreeze: iterations from one decision to the next (default: "
        "a tenth of the schedule)",
    )
    group.add_argument(
        "--freeze-iterations",
        type=count,
        metavar="N",
        help="last iteration of the schedules (default: the run's last)",
    )
    group.add_argument(
        "--cache",
        choices=CACHES,
        default="auto",
        help="where to keep what frozen blocks compute for each image: where it pays and there is "
        "room, in memory, in a temporary file, compressed, or nowhere (default: auto)",
    )


def _add_options_of_constant_rates(group):
    group.add_argument(
        "--milestones",
        type=_milestones,
        metavar="LIST",
        help="of classic and stochastic: comma-separated shares of the run at which the rate is "
        "multiplied by --gamma (default: none)",
    )
    group.add_argument("--gamma", type=_positive, metavar="G", help="(default: 0.2)")
    group.add_argument(
        "--survival",
        type=_probability,
        default=0.6,
        metavar="P",
        help="stochastic depth: probability that the last block's branch survives (default: 0.6)",
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
    group.add_argument(
        "--tensorboard", metavar="DIR", help="write what TensorBoard shows (default: nothing)"
    )
    group.add_argument(
        "--checkpoint-every",
        type=count,
        metavar="N",
        help="save a checkpoint every N iterations (default: none)",
    )
    group.add_argument(
        "--keep-checkpoints",
        type=count,
        default=3,
        metavar="K",
        help="the newest K (default: 3)",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest checkpoint that an interrupted run left for --out; give the "
        "same options again",
    )


def add_out(parser, default):
    """Add the folder to write."""
    parser.add_argument("--out", metavar="DIR", help=f"folder to write (default: {default})")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results in --out")


def count(text):
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _number(text, fits, expected):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not fits(value):
        raise argparse.ArgumentTypeError(f"must be a number {expected}, not {text!r}")
    return value


def _probability(text):
    return _number(text, lambda value: 0 <= value <= 1, "from 0 to 1")


def _share(text):
    return _number(text, lambda value: 0 < value <= 1, "above 0, at most 1")


def _metrics(text):
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in METRICS and not top_k(name)]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"must be different names of {', '.join(METRICS)}, top5 or another number, not {text!r}"
        )
    return names


def _milestones(text):
    shares = tuple(_share(part) for part in text.split(","))
    if sorted(set(shares)) != list(shares):
        raise argparse.ArgumentTypeError(f"must rise, not {text!r}")
    return shares


def _positive(text):
    return _number(text, lambda value: 0 < value < math.inf, "above 0")


def _not_negative(text):
    return _number(text, lambda value: 0 <= value < math.inf, "of 0 or more")


def _depth(text):
    return text.upper() if text.upper() in ("A", "B", "D", "E") else count(text)
