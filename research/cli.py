"""The command line: `resbatch compare`, `train`, `report`, `reproduce`, `data`, `bench`.

Whatever is slow to import is imported by the command that needs it, so that `--help` is quick.
"""

import argparse
import importlib
import sys

from research.names import METHODS, MODELS, SUITES


class Parser(argparse.ArgumentParser):
    """Says what was wrong in one line, and exits with status 2."""

    def error(self, message):
        """Print the line and exit."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments=None):
    """Run a command; the exit status is 0 done, 1 failed, 2 wrong usage."""
    parser = make_parser()
    options = parser.parse_args(arguments)
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
    compare.add_argument(
        "--seeds", type=_count, default=3, metavar="N", help="seeds 0 … N − 1 (default: 3)"
    )
    compare.add_argument(
        "--methods",
        type=_methods,
        default=list(METHODS),
        metavar="LIST",
        help=f"comma-separated, of {', '.join(METHODS)} (default: all)",
    )


def _add_train(commands):
    train = commands.add_parser("train", help="one run, to its history and its weights")
    _add_run_options(train)
    train.add_argument("--epochs", type=_count, metavar="N", help="in place of --iterations")
    train.add_argument("--method", choices=METHODS, default="classic", help="(default: classic)")
    train.add_argument("--seed", type=int, default=0, help="(default: 0)")


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
    parser.add_argument(
        "--model",
        choices=MODELS,
        default="resnet",
        help="the small ResNet, or a published one (default: resnet)",
    )
    parser.add_argument(
        "--data",
        default="digits",
        metavar="NAME|PATH",
        help="digits, mnist, fashion_mnist, cifar10, cifar100, an .npz, or a folder with .blk "
        "files (default: digits)",
    )
    parser.add_argument(
        "--iterations", type=_count, default=150, metavar="N", help="(default: 150)"
    )
    parser.add_argument(
        "--batch-size", type=_count, default=300, metavar="N", help="(default: 300)"
    )
    parser.add_argument(
        "--freeze-iterations",
        type=_count,
        metavar="N",
        help="last iteration of the schedules (default: the run's last)",
    )
    parser.add_argument(
        "--survival",
        type=_probability,
        default=0.6,
        metavar="P",
        help="stochastic depth: probability that the last block's branch survives (default: 0.6)",
    )
    parser.add_argument("--threads", type=_count, metavar="N", help="(default: one a processor)")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="(default: float32)"
    )
    _add_out(parser, "a new one under runs/")


def _add_out(parser, default):
    parser.add_argument("--out", metavar="DIR", help=f"folder to write (default: {default})")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results in --out")


def _count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _probability(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return value


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
