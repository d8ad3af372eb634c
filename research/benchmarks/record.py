"""What a benchmark has measured so far: `bench.json`, and the tables `bench.csv` and `bench.md`."""

import json
import pathlib

import pandas as pd

from batch.files import from_json, read_text, replacing, write_text
from research.benchmarks.harness import COLUMNS
from research.names import BENCH_RECORD
from research.storage.results import ResultsError


class Record:
    """The rows of the parts that are measured, written again after each part.

    Parameters
    ----------
    folder : path
    identity : dict from str to str
        What decides the rows: the options and the machine.
    machine : collection of str
        Which of them are the machine's.
    resume : bool
        Go on with what the folder holds, if it holds something.

    Raises
    ------
    ResultsError
        If the folder holds what was measured with other options or on another machine, or is
        broken; the message names it.
    """

    def __init__(self, folder, identity, machine, resume=False):
        self._folder, self._identity = pathlib.Path(folder), identity
        self._machine = {name: identity[name] for name in machine}
        self.parts = []
        if resume and (self._folder / BENCH_RECORD).exists():
            self._read()
        self._write()

    def _read(self):
        path = self._folder / BENCH_RECORD
        try:
            record = from_json(read_text(path))
            earlier, self.parts = dict(record["identity"]), record["parts"]
            self.slowness()
            self._whole()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResultsError(f"{path} holds no benchmark to resume: {error}") from error
        names = {**earlier, **self._identity}
        other = [name for name in names if earlier.get(name) != self._identity.get(name)]
        if other:
            theirs, ours = (
                ", ".join(f"{name} {some.get(name, 'unknown')}" for name in other)
                for some in (earlier, self._identity)
            )
            raise ResultsError(
                f"--resume goes on with the same options on the same machine. {self._folder} was "
                f"measured with {theirs}. Received: {ours}"
            )

    def holds(self, suite, part):
        """Whether a part of a suite is measured."""
        return any((one["suite"], one["part"]) == (suite, part) for one in self.parts)

    def add(self, suite, part, rows, seconds, expected):
        """Write the rows of a part, how long it took, and how long that was to be (`Part`)."""
        times = {"seconds": round(seconds, 1), "expected": round(expected, 1)}
        self.parts.append(
            {"suite": suite, "part": part, **times, "rows": [list(row) for row in rows]}
        )
        self._write()

    def slowness(self):
        """The time that parts took over what was expected of them; None if there are none."""
        took, expected = (sum(part[key] for part in self.parts) for key in ("seconds", "expected"))
        return took / expected if expected else None

    def table(self, suite):
        """The rows of a suite, as a DataFrame."""
        whole = self._whole()
        return whole[whole["suite"] == suite][list(COLUMNS)]

    def _whole(self):
        rows = [(part["suite"], *row) for part in self.parts for row in part["rows"]]
        return pd.DataFrame(rows, columns=["suite", *COLUMNS])

    def _write(self):
        record = {"identity": self._identity, "parts": self.parts}
        write_text(self._folder / BENCH_RECORD, json.dumps(record, indent=1) + "\n")
        if not self.parts:
            return
        whole = self._whole()
        with replacing(self._folder / "bench.csv") as new:
            whole.assign(**self._machine).to_csv(new, index=False)
        values = ", ".join(f"{name} {value}" for name, value in self._machine.items())
        lines = [f"Measured in turn on {values}.", "", *_markdown(whole)]
        write_text(self._folder / "bench.md", "\n".join(lines) + "\n")


def _markdown(table):
    rows = [table.columns, ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]
