"""Ends commands at random moments and at operations on files, goes on, and compares the bits."""

import collections
import random
import shutil
import signal

from comparing import differences
from processes import make_room, small_disk, start
from settings import SETTINGS, write_data

SIGNALS = ("SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
ERRORS = ("full", "small", "memory", "gone")  # a disk that is full, or too small; no folder
AGAIN = 0.3  # how often what goes on meets a fault, too
REPLACING = 0.2  # how often there are earlier results, to be replaced


class Faults:
    """Commands that meet faults, each carried out once without.

    Parameters
    ----------
    folder : pathlib.Path
        For all that is written; what went wrong stays there.
    names : sequence of str
        Of `SETTINGS`.
    seed : int
        Of the moments.

    Attributes
    ----------
    ended : Counter
        How often commands were ended so far, by signals, as `kills`, and by each of `ERRORS`.
    failures : list of str
        What went wrong.
    """

    def __init__(self, folder, names=tuple(SETTINGS), seed=0):
        self.folder, self._names = folder, names
        self._rng = random.Random(seed)
        self._wholes, self._waiting, self._tries = {}, [], 0
        self.ended, self.failures = collections.Counter(), []
        folder.mkdir(parents=True, exist_ok=True)
        write_data(folder)
        if any("base" in name for name in names):
            self._whole("freezeout")
            trained = folder / "whole" / "freezeout" / "out" / "model.keras"
            shutil.copy(trained, folder / "base.keras")

    def meet(self, kinds):
        """Let the next command meet one of these faults, go on, and compare what it comes to."""
        if not self._waiting:
            self._waiting = self._rng.sample(self._names, len(self._names))
        name = self._waiting.pop()
        self._tries += 1
        folder = self.folder / f"try{self._tries}"
        said = []
        wrong = self._gone_on(name, folder, kinds, said)
        if wrong:
            self.failures.append(f"{folder.name}, {name}, {', '.join(said)}: {'; '.join(wrong)}")
            return
        shutil.rmtree(folder)
        for notes in self.folder.glob(f"{folder.name}.notes*"):
            notes.unlink()

    def _whole(self, name):
        """The command without a fault; what it leaves is in `whole/NAME/out`."""
        if name not in self._wholes:
            folder = self.folder / "whole" / name
            ended = start(self._command(name, folder), folder)
            if ended.status != 0:
                raise RuntimeError(f"{name} ends with {ended.status}: {ended.err}")
            self._wholes[name] = ended
        return self._wholes[name]

    def _command(self, name, folder, *more):
        return [*SETTINGS[name].arguments(self.folder), "--out", str(folder / "out"), *more]

    def _gone_on(self, name, folder, kinds, said):
        """What is wrong with a command that went on after faults; `said` gets these."""
        fault = self._fault(self._whole(name), kinds)
        folder.mkdir()
        if fault["what"] != "small":
            return self._until_done(name, folder, kinds, fault, said)
        with small_disk(folder, fault["number"]):
            return self._until_done(name, folder, kinds, fault, said)

    def _until_done(self, name, folder, kinds, fault, said):
        whole = self._whole(name)
        iterations = whole.count("iteration")
        how, made, lost = self._earlier(folder, fault), 0, 0
        while True:
            said.append("{what} at {at} {number:.4g}".format(**fault) if fault else how[0])
            ended = start(self._command(name, folder, *how), folder, fault)
            made += ended.count("iteration")
            if ended.status == 1 and self._untouched(folder, ended):
                how = ["--overwrite"]
                continue
            if wrong := _wrong(ended, fault):
                return wrong
            if ended.status == 0:
                break
            what = fault["what"]
            self.ended["kills" if what in SIGNALS else what] += 1
            lost += 0 if ended.status > 1 else SETTINGS[name].may_lose(whole)
            lost += iterations if what == "gone" else 0
            if what == "small":
                make_room(folder)
            how, fault = ["--resume"], None
            if what != "small" and self._rng.random() < AGAIN:
                fault = self._fault(whole, kinds)
        again = made - iterations
        wrong = [f"{again} iterations made again, {lost} may be"] if again > lost else []
        wrong += self._differences(name, folder)
        gone = any(each.startswith("gone") for each in said)  # and with it, lines of metrics
        return [each for each in wrong if not (gone and each.endswith(".jsonl"))]

    def _differences(self, name, folder):
        left = [path.name for path in folder.iterdir() if path.name not in ("out", "temporary")]
        return left + differences(folder / "out", self.folder / "whole" / name / "out")

    def _fault(self, whole, kinds):
        """A fault at a moment that the whole command has."""
        what = self._rng.choice(kinds)
        if what == "small":
            return {"at": "disk", "number": self._rng.randint(1, 1000) * 4096, "what": what}
        moments = {"full": ("operation",), "memory": ("allocation",), "gone": ("operation",)}
        at = self._rng.choice(moments.get(what, ("operation", "operation", "iteration", "second")))
        if at == "second":
            number = self._rng.uniform(0, whole.seconds)
        else:
            number = self._rng.randint(1, max(1, whole.count(at)))
        return {"at": at, "number": number, "what": what}

    def _earlier(self, folder, fault):
        """How the command begins; with --overwrite, there are earlier results of another."""
        if fault["what"] == "small" or self._rng.random() > REPLACING:
            return []
        other = self._rng.choice(sorted(self._wholes))
        shutil.copytree(self.folder / "whole" / other / "out", folder / "out")
        (folder / "out" / "earlier.md").touch()
        return ["--overwrite"]

    def _untouched(self, folder, ended):
        """Whether earlier results are there still, and nothing yet of what was to replace them."""
        kept = (folder / "out" / "earlier.md").exists() and "is of other settings" in ended.err
        return kept and not (folder / "out.partial").exists()


def _wrong(ended, fault):
    """What is wrong with the end of a command that met a fault, or none."""
    if ended.status == 0:
        return []
    what = fault["what"] if fault else None
    said = [line for line in ended.errors if not line.startswith("resbatch: interrupted by")]
    if what in ERRORS and ended.status == 1 and len(said) == 1 and said[0].startswith("resbatch: "):
        return []
    number = getattr(signal, what) if what in SIGNALS else 0
    if number and ended.status in (-number, 128 + number) and not said:
        return []
    return [f"ends with {ended.status}", *said]
