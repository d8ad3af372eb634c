"""`python tests/faults/soak.py KILLS [MINUTES [SEED]]`: so many kills, and other faults between.

Prints figures; the exit status is 1 if a command did not go on to the same bits.
"""

import pathlib
import sys
import tempfile
import time

from kills import ERRORS, SIGNALS, Faults
from processes import may_mount

OTHERS = 4  # every so many commands meet another fault than a signal


def soak(number, minutes, seed):
    """End so many commands by signals, or for so long; the exit status."""
    start = time.monotonic()
    faults = Faults(pathlib.Path(tempfile.mkdtemp(prefix="soak")), seed=seed)
    errors = [what for what in ERRORS if what != "small" or may_mount(faults.folder)]
    tried = 0
    while faults.ended["kills"] < number and time.monotonic() - start < 60 * minutes:
        before = len(faults.failures)
        tried += 1
        faults.meet(errors if tried % OTHERS == 0 else SIGNALS)
        for failure in faults.failures[before:]:
            print(failure, flush=True)
    figures = ", ".join(f"{what} {count}" for what, count in sorted(faults.ended.items()))
    where = f" (in {faults.folder})" if faults.failures else ""
    print(f"{tried} commands met faults ({figures}): {len(faults.failures)} failures{where}")
    return 1 if faults.failures else 0


if __name__ == "__main__":
    kills, minutes, seed = (*map(int, sys.argv[1:]), *(100, 60, 0)[len(sys.argv) - 1 :])
    sys.exit(soak(kills, minutes, seed))
