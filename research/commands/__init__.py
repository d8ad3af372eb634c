"""What the commands do, once the command line is understood."""

from research.commands.compare import compare
from research.commands.others import (
    bench,
    data,
    import_weights,
    merge,
    predict,
    report,
    reproduce,
)
from research.commands.train import train

COMMANDS = {
    **{
        command.__name__: command
        for command in (compare, train, report, merge, predict, data, reproduce, bench)
    },
    "import": import_weights,
}
