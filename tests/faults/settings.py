"""The commands that are killed: every method, cache, augmentation and kind of network, at 8×8."""

import dataclasses
import pathlib

import numpy as np

from research.methods import METHODS

OWN = """
from research import Method


def config(experiment, blocks):
    part = experiment.iterations // 4

    def schedule(iteration):
        rate = experiment.learning_rate * 0.5 ** (iteration // part)
        return [rate if iteration < 2 * part or block else 0 for block in range(blocks)]

    return {"schedule": schedule}


OWN = Method("own", config, options={})
"""
SMALL = "--model wideresnet --depth 10 --widen-factor 1"
PLAIN, CROPS, VIEWS = "--no-augment", "--augment", "--augment --views 2"
LINEAR = "--how-scale linear --t-0 0.2 --freeze-iterations 20"  # frozen from the 4th iteration on
BASE = "--base {folder}/base.keras"


@dataclasses.dataclass(frozen=True)
class Setting:
    """A command.

    Attributes
    ----------
    text : str
        Its arguments, with `{folder}` for that of the data.
    every : int, optional
        Iterations from one checkpoint to the next.
    at_once : int
        How many runs may be under way.
    """

    text: str
    every: int | None = None
    at_once: int = 1

    def arguments(self, folder):
        """What the command is given, but for where it writes."""
        every = f" --checkpoint-every {self.every}" if self.every else ""
        common = " --batch-size 10 --threads 1 --data {folder}/data.npz"
        return (self.text + every + common).format(folder=folder).split()

    def may_lose(self, whole):
        """How many iterations a kill may cost at most."""
        return self.every * self.at_once if self.every else whole.count("iteration")


def _train(method, more, every=5, network=SMALL):
    return Setting(f"train {network} --iterations 24 --method {method} {more}", every)


def _compare(methods, more, every=4, network=SMALL, at_once=None):
    text = f"compare {network} --iterations 12 --methods {methods} {more}"
    return Setting(text, every, at_once or methods.count(",") + 1)


SETTINGS = {
    "freezeout": _train("freezeout", f"{PLAIN} --cache memory {LINEAR}"),
    "freezeout mapped": _train("freezeout", f"{PLAIN} --cache mapped {LINEAR}", 3),
    "freezeout compressed": _train("freezeout", f"{PLAIN} --cache compressed"),
    "freezeout off": _train("freezeout", f"{PLAIN} --cache off {LINEAR}"),
    "freezeout auto": _train("freezeout", f"{PLAIN} {LINEAR}", None),
    "freezeout crops": _train("freezeout", f"{CROPS} {LINEAR}"),
    "freezeout views": _train("freezeout", f"{VIEWS} --cache memory {LINEAR}", 7),
    "freezeout bfloat16": _train("freezeout", f"{PLAIN} --cache memory --precision bfloat16"),
    "classic": _train("classic", f"{PLAIN} --dropout 0.3 --weight-decay 1e-3 --eval-every 4"),
    "classic crops": _train("classic", f"{CROPS} --optimizer Adam --learning-rate 0.001", None),
    "annealed": _train("annealed", f"{CROPS} --eval-every 5 --eval-batches 1", 1),
    "stochastic": _train("stochastic", CROPS, 4),
    "shorter": _train("shorter", PLAIN),
    "layerfreezing": _train("layerfreezing", f"{PLAIN} --freeze-every 3 --cache memory"),
    "autofreeze": _train("autofreeze", f"{VIEWS} --freeze-every 2 --cache mapped", 4),
    "own": _train("{folder}/own.py:OWN", PLAIN),
    "small resnet": _train("freezeout", "", 6, network=""),
    "base": _train("classic", "--freeze-first 2 --cache memory", network=BASE),
    "base views": _train("freezeout", f"--freeze-first 1 {VIEWS}", 6, network=BASE),
    "compare": _compare("freezeout,classic", f"{PLAIN} --seeds 2 --cache memory --target 40"),
    "compare all": _compare(",".join(METHODS), f"{PLAIN} --seeds 1 --freeze-every 3 --cache off"),
    "compare views": _compare("annealed,autofreeze", f"{VIEWS} --freeze-every 2 --seeds 2", 3),
    "compare crops": _compare("stochastic,freezeout", f"{CROPS} --seeds 1", None),
    "compare own": _compare(
        "classic,{folder}/own.py:OWN", f"{PLAIN} --precision bfloat16 --seeds 1"
    ),
    "compare base": _compare("classic", "--seeds 2", 4, f"{BASE} --freeze-first 2", 2),
    "study": Setting(f"compare {SMALL} --iterations 12 --study momentum --seeds 1", 5, 6),
}


def write_data(folder):
    """Write what the commands read: 60 random images of three classes, and a method's file."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8), np.arange(60) % 3
    arrays = {"x_train": images, "y_train": labels, "x_test": images[:12], "y_test": labels[:12]}
    np.savez(pathlib.Path(folder, "data.npz"), **arrays)
    pathlib.Path(folder, "own.py").write_text(OWN, encoding="utf-8")
