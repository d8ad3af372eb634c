"""The command line: `resbatch compare`, `train`, `report`, `reproduce`, `data`, `bench`.

Whatever is slow to import is imported by the command that needs it, so that `--help` is quick.
"""

import argparse
import importlib
import math
import sys

from research.names import HOW_SCALE, METHODS, MODELS, SUITES
from research.recipes import MODEL_OPTIONS, STUDIES, settle


class Parser(argparse.ArgumentParser):
    """Says what was wrong in one line, and exits with status 2."""

    def error(self, message):
        """Print the line and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments=None):
    """Run a command; the exit status is 0 done, 1 failed, 2 wrong usage."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.command in ("compare", "train"):
        try:
            settle(options)
        except ValueError as error:
            parser.error(str(error))
    try:
        importlib.import_module("research.commands").COMMANDS[options.command](options)
    except (Exception, KeyboardInterrupt) as error:
        if options.debug:
            raise
        sys.stderr.write(f"resbatch: {_one_line(error)}\n")
        return 2 if type(error).__name__ == "UnknownDataError" else 1
    return 0


def make_parser():
    """The parser of the whole command line."""
    parser = Parser(
        prog="resbatch",
        description="What FreezeOut and stochastic depth buy a residual network: accuracy, time, "
        "and how much of the saving that theory promises was really had.",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_compare(commands)
    _add_train(commands)
    _add_report(commands)
    _add_others(commands)
    return parser


def _add_compare(commands):
    compare = commands.add_parser(
        "compare", help="several methods on several seeds, to a table, figures and a report"
    )
    _add_run_options(compare)
    compare.add_argument("--seeds", type=_count, metavar="N", help="seeds 0 … N − 1 (default: 3)")
    compare.add_argument(
        "--methods",
        type=_methods,
        metavar="LIST",
        help=f"comma-separated, of {', '.join(METHODS)} (default: all)",
    )
    compare.add_argument(
        "--equal-time",
        action="store_true",
        help="let each method train for as many iterations as take classic's time, by their FLOPs",
    )
    compare.add_argument(
        "--study",
        choices=STUDIES,
        help="in place of --methods: every schedule of the FreezeOut paper against its baseline, "
        "at a size for two cores, or (freezeout-full) at the paper's",
    )


def _add_train(commands):
    train = commands.add_parser("train", help="one run, to its history and its weights")
    _add_run_options(train)
    train.add_argument("--method", choices=METHODS, default="classic", help="(default: classic)")
    train.add_argument("--seed", type=int, default=0, help="(default: 0)")
    train.add_argument(
        "--validate",
        choices=("val", "test"),
        default="test",
        help="on the last 5,000 training images, held out, or on the test split (default: test)",
    )
    train.add_argument(
        "--const-time",
        action="store_true",
        help="spend what the method should save on more iterations",
    )
    train.add_argument(
        "--save-weights",
        metavar="NAME",
        help="names the weights and the metrics (default: model.keras, and after the settings)",
    )
    train.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing; print parameters, FLOPs, when blocks freeze, saving and memory",
    )


def _add_report(commands):
    report = commands.add_parser(
        "report", help="figures and report again from saved results, without training"
    )
    report.add_argument("folders", nargs="+", metavar="DIR", help="of resbatch compare or train")
    _add_out(report, "the folder itself if there is one, else a new one under runs/")


def _add_others(commands):
    data = commands.add_parser("data", help="pack a data set into MNIST_data/ with blosc")
    data.add_argument("name", help="mnist, or another name or path that --data takes")
    data.add_argument("--from", dest="source", metavar="FILE", help="an .npz to pack instead")
    data.add_argument("--out", default="MNIST_data", metavar="DIR", help="(default: MNIST_data)")
    reproduce = commands.add_parser("reproduce", help="run every notebook with nbconvert")
    _add_out(reproduce, "a new one under runs/")
    bench = commands.add_parser("bench", help="measure, side by side with peers")
    bench.add_argument(
        "suites",
        nargs="*",
        type=_suite,
        metavar="SUITE",
        help=f"of {', '.join(SUITES)} (default: all)",
    )
    bench.add_argument("--repetitions", type=_count, default=50, help="(default: 50)")
    bench.add_argument("--batch-size", type=_count, default=300, help="(default: 300)")
    bench.add_argument("--threads", type=_count, metavar="N", help="(default: one a processor)")


def _add_run_options(parser):
    _add_network_options(parser.add_argument_group("network"))
    _add_training_options(parser.add_argument_group("training"))
    _add_schedule_options(parser.add_argument_group("methods"))
    parser.add_argument(
        "--data",
        metavar="NAME|PATH",
        help="digits, mnist, fashion_mnist, cifar10, cifar100, an .npz, or a folder with .blk "
        "files (default: digits)",
    )
    parser.add_argument("--threads", type=_count, metavar="N", help="(default: one a processor)")
    _add_out(parser, "a new one under runs/")


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
    group.add_argument("--growth-rate", type=_count, metavar="K", help="of densenet (default: 12)")
    group.add_argument(
        "--bottleneck",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="of densenet (default: yes)",
    )
    group.add_argument("--compression", type=_share, metavar="θ", help="of densenet (default: 0.5)")
    group.add_argument(
        "--widen-factor", type=_count, metavar="K", help="of wideresnet (default: 2)"
    )
    group.add_argument(
        "--dropout", type=_probability, metavar="P", help="of wideresnet (default: 0)"
    )
    group.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="(default: float32)"
    )


def _add_training_options(group):
    published = ", ".join(MODEL_OPTIONS)
    group.description = f"Defaults are those of the notebook; for {published}, the paper's (…)."
    length = group.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=_count, metavar="N", help="(default: 150)")
    length.add_argument("--epochs", type=_count, metavar="N", help="(default: – (100))")
    group.add_argument("--batch-size", type=_count, metavar="N", help="(default: 300 (50))")
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
        "--freeze-iterations",
        type=_count,
        metavar="N",
        help="last iteration of the schedules (default: the run's last)",
    )
    group.add_argument(
        "--survival",
        type=_probability,
        default=0.6,
        metavar="P",
        help="stochastic depth: probability that the last block's branch survives (default: 0.6)",
    )


def _add_out(parser, default):
    parser.add_argument("--out", metavar="DIR", help=f"folder to write (default: {default})")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results in --out")


def _count(text):
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


def _positive(text):
    return _number(text, lambda value: 0 < value < math.inf, "above 0")


def _not_negative(text):
    return _number(text, lambda value: 0 <= value < math.inf, "of 0 or more")


def _depth(text):
    return text.upper() if text.upper() in ("A", "B", "D", "E") else _count(text)


def _methods(text):
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in METHODS]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"must be different names of {', '.join(METHODS)}, not {text!r}"
        )
    return names


def _suite(text):
    if text not in SUITES:
        raise argparse.ArgumentTypeError(
            f"invalid choice: {text!r} (choose from {', '.join(SUITES)})"
        )
    return text


def _one_line(error):
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = " ".join(str(error).split())
    expected = isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith(
        ("batch.", "research.", "utils.")
    )
    return text if expected and text else f"{type(error).__name__}: {text} (--debug shows where)"


if __name__ == "__main__":
    sys.exit(main())
