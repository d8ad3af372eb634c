"""The command line: `resbatch compare`, `train`, `report`, `merge`, `predict`, and others.

Whatever is slow to import is imported by the command that needs it, so that `--help` is quick.
"""

import argparse
import importlib
import sys

from batch import __version__
from research import chosen, console
from research.arguments import count, file, folder, keras_file, percent, points, seed, seeds
from research.experiments.recipes import STUDIES, settle
from research.grid import axis
from research.interruption import Interrupted, interruptible
from research.methods import METHODS, USUAL
from research.names import ENGINES, MARGIN, SUITES
from research.options import (
    add_format,
    add_import_options,
    add_out,
    add_resuming,
    add_run_options,
    add_strategy,
    add_tensorboard,
    add_watching_options,
)
from research.parser import Parser, not_one_of

WRONG_USAGE = ("UnknownDataError", "OptimizerError")  # names that only what is slow knows


@console.standard_streams()
def main(arguments=None):
    """Run a command; the exit status is 0 done, 1 failed, 2 wrong usage, 128 + n by signal n."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        notes = settle(options)
    except ValueError as error:
        parser.error(str(error))
    try:
        for note in notes:
            console.say(note)
        with interruptible():
            importlib.import_module("research.commands").COMMANDS[options.command](options)
        if console.LOST:  # what was to be said is lost, and all the rest is done
            raise console.LOST[0]
    except (Exception, KeyboardInterrupt, Interrupted) as error:
        if options.debug:
            raise
        with console.writing("stderr"):
            sys.stderr.write(f"resbatch: {_one_line(error)}\n")
        return _status(error)
    return 0


def make_parser():
    """The parser of the whole command line."""
    parser = Parser(
        prog="resbatch",
        description="What FreezeOut and stochastic depth buy a residual network: accuracy, time, "
        "and how much of the saving that theory promises was really had.",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=f"resbatch {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_compare(commands)
    _add_train(commands)
    _add_report(commands)
    _add_merge(commands)
    _add_predict(commands)
    _add_import(commands)
    _add_others(commands)
    for one in commands.choices.values():
        one.relatives = [parser, *commands.choices.values()]
    return parser


def _add_compare(commands):
    compare = commands.add_parser(
        "compare", help="several methods on several seeds, to a table, figures and a report"
    )
    add_run_options(compare)
    compare.add_argument(
        "--seeds",
        type=seeds,
        metavar="N",
        help="seeds 0 … N − 1, or as 5-9; with --resume, more than there are in --out add to them "
        "(default: 3)",
    )
    add_tensorboard(compare)
    add_resuming(compare, "of each run")
    which = compare.add_mutually_exclusive_group()
    which.add_argument(
        "--methods",
        type=chosen.methods,
        metavar="LIST",
        help=f"comma-separated, of {', '.join(METHODS)}, or {chosen.OWN} "
        f"(default: {','.join(method.name for method in USUAL)})",
    )
    compare.add_argument(
        "--grid",
        type=axis,
        nargs="+",
        default=(),
        metavar="OPTION=LIST",
        help="every setting of options of methods, as t_0=0.5,0.8 how_scale=linear,cubic, is a "
        "method of the comparison, where a method has them",
    )
    which.add_argument(
        "--study",
        choices=STUDIES,
        help="every schedule of the FreezeOut paper against its baseline, the search for the one "
        "that saves most, both forms of momentum, fixed crops to be kept, how many blocks of a "
        "pre-trained base to freeze, or widths and types of blocks of Wide ResNets; at a size for "
        "two cores, or (…-full) at the paper's",
    )
    compare.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="one run after the other here, or a seed at a time on each worker of a Ray cluster "
        f"(default: {ENGINES[0]})",
    )
    compare.add_argument(
        "--address", metavar="ADDRESS", help="of the Ray cluster (default: one on this machine)"
    )
    compare.add_argument(
        "--cpus-per-run",
        type=count,
        metavar="N",
        help="what a seed asks Ray for (default: as many as --threads, which is 1 there)",
    )
    compare.add_argument(
        "--margin",
        type=points,
        default=MARGIN,
        metavar="POINTS",
        help="of accuracy that a method may lose to its baseline and still be no worse "
        "(default: %(default)s)",
    )
    compare.add_argument(
        "--target",
        type=percent,
        metavar="PERCENT",
        help="evaluate after every epoch, and say when each method reached so much accuracy "
        "(default: don't)",
    )
    compare.add_argument(
        "--dry-run",
        action="store_true",
        help="compare nothing; print the runs, what freezing should save, and how long it should "
        "all take, from a few steps",
    )
    compare.add_argument(
        "--equal-time",
        action="store_true",
        help="let each method train for as many iterations as take classic's time, by their FLOPs",
    )


def _add_train(commands):
    train = commands.add_parser("train", help="one run, to its history and its weights")
    add_run_options(train)
    add_watching_options(train)
    train.add_argument(
        "--method",
        type=chosen.method,
        default="classic",
        metavar="NAME",
        help=f"one of {', '.join(METHODS)}, or {chosen.OWN} (default: classic)",
    )
    train.add_argument("--seed", type=seed, default=0, help="(default: 0)")
    add_strategy(train)
    train.add_argument(
        "--validate",
        nargs="?",
        choices=("val", "test"),
        const="val",
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
        type=_file_name,
        metavar="NAME",
        help="names the weights and the metrics (default: model.keras, and after the settings)",
    )
    train.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing; print parameters, FLOPs, when blocks freeze, saving and memory",
    )


def _add_report(commands):
    report = commands.add_parser("report", help="figures and report again, without training")
    report.add_argument(
        "folders", nargs="+", type=folder, metavar="DIR", help="of resbatch compare or train"
    )
    report.add_argument("--open", action="store_true", help="open the page in a browser")
    add_format(report)
    add_out(report, "the folder itself if there is one, else a new one under runs/")


def _add_merge(commands):
    merge = commands.add_parser(
        "merge",
        help="comparisons of the same settings on other seeds, as one",
        description="Each machine runs its own seeds, as --seeds 0-4 and --seeds 5-9. Times are "
        "compared within seeds only.",
    )
    merge.add_argument(
        "folders", nargs="+", type=folder, metavar="DIR", help="of resbatch compare: two or more"
    )
    add_out(merge, "a new one under runs/")


def _add_predict(commands):
    predict = commands.add_parser(
        "predict", help="what a trained network says of images: classes and their probabilities"
    )
    predict.add_argument("run", type=folder, metavar="RUN", help="the folder of resbatch train")
    predict.add_argument("images", nargs="+", type=file, metavar="IMAGE", help="a file")


def _add_import(commands):
    importing = commands.add_parser(
        "import",
        help="weights of a PyTorch program, to a network in a file",
        description="What torch.save wrote of a state_dict() of torchvision's ResNets and VGGs, of "
        "the usual Wide ResNets and DenseNets, or of EfficientNet-Lite0, becomes a network that "
        "TFModel and Keras open. It takes the extra torch. The file does not tell how the program "
        "scaled its images: give its means and deviations to normalize.",
    )
    importing.add_argument(
        "weights", type=file, metavar="WEIGHTS", help="the file; no code in it is run"
    )
    add_import_options(importing)
    importing.add_argument(
        "--out", type=keras_file, required=True, metavar="FILE", help="to write, as model.keras"
    )
    importing.add_argument("--overwrite", action="store_true", help="replace an earlier --out")


def _add_others(commands):
    data = commands.add_parser("data", help="pack a data set into MNIST_data/ with blosc")
    data.add_argument("name", help="mnist, or another name or path that --data takes")
    data.add_argument("--from", dest="source", metavar="FILE", help="an .npz to pack instead")
    data.add_argument(
        "--out",
        type=folder,
        default="MNIST_data",
        metavar="DIR",
        help="(default: MNIST_data)",
    )
    reproduce = commands.add_parser("reproduce", help="run every notebook with nbconvert")
    add_out(reproduce, "a new one under runs/")
    bench = commands.add_parser("bench", help="measure, side by side with peers")
    bench.add_argument(
        "suites",
        nargs="*",
        type=_suite,
        metavar="SUITE",
        help=f"of {', '.join(SUITES)} (default: all)",
    )
    bench.add_argument("--repetitions", type=count, metavar="N", help="(default: 50)")
    bench.add_argument(
        "--quick",
        action="store_true",
        help="a first table: a few repetitions of the cheapest parts of each suite, in about ten "
        "minutes for all of them",
    )
    bench.add_argument("--batch-size", type=count, metavar="N", help="(default: 300)")
    bench.add_argument("--threads", type=count, metavar="N", help="(default: one a processor)")
    bench.add_argument(
        "--resume",
        action="store_true",
        help="go on with what an interrupted benchmark left for --out; give the same options again",
    )
    add_out(bench, "a new one under runs/")


def _file_name(text):
    if not text or set(text) & set("/\\\0"):
        raise argparse.ArgumentTypeError(f"must be a file name without a folder, not {text!r}")
    return text


def _suite(text):
    if text not in SUITES:
        raise argparse.ArgumentTypeError(not_one_of(text, ", ".join(SUITES), SUITES))
    return text


def _status(error):
    if isinstance(error, Interrupted):
        return 128 + error.number
    return 2 if type(error).__name__ in WRONG_USAGE else 1


def _one_line(error):
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, Interrupted):
        return f"{error}; {error.advice}" if error.advice else str(error)
    text = " ".join(str(error).split())
    plain = type(error) is ImportError or isinstance(error, (ValueError, OSError))
    expected = plain or type(error).__module__.startswith(("batch.", "research.", "utils."))
    return text if expected and text else f"{type(error).__name__}: {text} (--debug shows where)"


if __name__ == "__main__":
    sys.exit(main())
