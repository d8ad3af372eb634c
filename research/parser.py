"""The command line's parser: argparse that says in one line what was wrong and what was meant.

argparse rather than click: it needs no package, and `--help` answers in a tenth of a second.
"""

import argparse
import itertools
import sys

from batch.spelling import did_you_mean

PUBLISHED = {  # options of FreezeOut's own program, and what they are here if not alike
    "--which_dataset": "--data cifar10 or --data cifar100",
    "--validate-test": "--validate test",
    "--no-validate": "--eval-every N, a number of iterations",
}


class Parser(argparse.ArgumentParser):
    """Takes no abbreviations, and exits with status 2 where it does not know an argument.

    Attributes
    ----------
    relatives : list of Parser
        Those of the program and its commands, whose options may have been meant.
    """

    relatives = ()

    def __init__(self, **settings):
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message):
        """Print the line and exit."""
        self.exit(2, f"{self.prog}: {message}\n")

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's, but none may be unknown: a command says itself which of its are."""
        args = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:  # else there are options of a command among them
            self._refuse_options(itertools.takewhile(lambda argument: argument != "--", args))
        namespace, unknown = super().parse_known_args(args, namespace)
        self._refuse_options(unknown)
        if unknown:
            before = args[args.index(unknown[0]) - 1]
            action = self._option_string_actions.get(before)
            hint = f": {before} takes no value" if action and action.nargs == 0 else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return namespace, unknown

    def options(self):
        """The option strings, as '--out'."""
        return list(self._option_string_actions)

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            choices = ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(action, not_one_of(value, choices, action.choices))

    def _refuse_options(self, arguments):
        names = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
        unknown = [name for name in names if name not in self.options()]
        if not unknown:
            return
        owners = {
            name: [other.prog for other in self.relatives if name in other.options()]
            for name in unknown
        }
        published = [name for name in unknown if name in PUBLISHED]
        strange = [name for name in unknown if not owners[name] and name not in PUBLISHED]
        known = [name for name in unknown if owners[name]]
        self.error(
            f"unrecognized arguments: {' '.join(unknown)}"
            + "".join(f". {name} is {PUBLISHED[name]} here" for name in published)
            + did_you_mean(strange, self.options())
            + did_you_mean(known, self.options(), cutoff=0.85)
            + "".join(f" ({name} is an option of {' and '.join(owners[name])})" for name in known)
        )


def not_one_of(value, expected, names):
    """What to say of a value that is none of the names, and which of them may have been meant."""
    return f"invalid choice: {value!r} (choose from {expected}){did_you_mean(value, names)}"
