"""A study on a simulated cluster, and the restart of a seed: each in a process of its own.

The runs of the study sleep in place of training. What they send is of real size, and the code that
they go through is that of the engine: the keeper, the store of runs, the files of results.
"""

import contextlib
import dataclasses
import functools
import pathlib
import tempfile
import threading
import time

import numpy as np

from batch.data.data import Data
from batch.data.history import MOST_RATES, History
from research.benchmarks.processes import megabytes
from research.benchmarks.small import random_examples
from research.experiments.experiment import Experiment
from research.interruption import Interrupted
from research.running.callbacks import Callback
from research.storage.run_store import RunStore

METHODS = ("classic", "annealed", "freezeout", "stochastic", "shorter")  # of each seed
BLOCKS = 5  # of their network, the classifier apart
SLEEP = 0.01  # seconds that a run takes
SAVED = 0.1  # share of the runs that send a checkpoint
STORE = 2 * 10**9  # bytes that Ray's object store may take
IMAGES, BATCH, LENGTH = 60_000, 300, 1000  # of the run that is restarted
SAMPLED = 0.2  # seconds from one look at the object store to the next


@dataclasses.dataclass
class _Saved:
    """What a checkpoint is made of: a model that is saved by writing so many bytes."""

    iteration: int
    content: bytes

    def save(self, path):
        path.write_bytes(self.content)


@dataclasses.dataclass
class _Slept:
    """A run that is whole, as callbacks see it."""

    experiment: Experiment
    history: History


def slept(content, mistakes, named, seed, data, progress, callbacks, store, every, look):
    """Make the runs of a seed by sleeping; the `make` of `running.on_ray.train_on_ray`."""
    rng = np.random.default_rng(seed)
    for label, experiment in named.items():
        time.sleep(SLEEP)
        history = _history(label, seed, experiment.iterations, rng)
        history.mistakes = mistakes if look else None
        if rng.random() < SAVED:
            model = _Saved(experiment.iterations, content)
            store.checkpoints(label, seed).save(model, history, {})
        progress.on_train_batch_end(_Slept(experiment, history))
        store.finish(label, seed, history)


def _history(label, seed, iterations, rng):
    """A history of random numbers, with as many digits as those of a run."""
    loss, seconds = rng.random((2, iterations)).tolist()
    frozen = np.linspace(0, BLOCKS, iterations).astype(int).tolist()
    history = History(label, seed, loss, seconds, frozen, accuracy=rng.random())
    changes = range(0, iterations, -(-iterations // MOST_RATES))
    history.rates = [[at, [1 / (at + 3)] * (BLOCKS + 1)] for at in changes]
    return history


def study(runs, nodes, iterations, images):
    """A function that simulates a tenth of a study, then all of it; returns what each took.

    Returns
    -------
    list of dict from str to float
        Megabytes at most of the driver (`driver`), which has TensorFlow, as that of a command has,
        and of the object store (`objects`); seconds of the study (`study`), of writing and reading
        results (`write`, `read`) and of the page (`page`); megabytes of results.csv (`csv`) and of
        a checkpoint (`checkpoint`).
    """
    data = Data.of(*random_examples(images), *random_examples(images // 6), name="random")
    content, mistakes = _real(data)
    named = {
        label: Experiment(method=label, iterations=iterations, cache="off") for label in METHODS
    }
    make = functools.partial(slept, content, mistakes)

    def run():
        import ray

        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        ray.init("local", num_cpus=nodes, object_store_memory=STORE, **quiet)
        try:
            return [
                {**_made(named, size // len(METHODS), data, make), "checkpoint": len(content) / 1e6}
                for size in (runs // 10, runs)
            ]
        finally:
            ray.shutdown()

    return run


def _real(data):
    """The bytes of a checkpoint of the small ResNet, and its mistakes."""
    from research.benchmarks.growth import make_model
    from research.running.mistakes import mistakes

    model = make_model(4)
    model.train(data.train.images[:8], data.train.labels[:8])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model")
        model.save(path)
        return path.read_bytes(), mistakes(
            model, data.with_test_images(len(data.test.labels) // 10).test
        )


def _made(named, seeds, data, make):
    """Make a study of so many seeds, write it, read it and draw its page; what it took."""
    from research.page.report import write_report  # workers need none of these
    from research.running.on_ray import train_on_ray
    from research.storage import results

    took = {}
    settings = {"command": "compare", "data": data.name, "seeds": list(range(seeds))}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        store = RunStore(folder / "checkpoints", list(named))
        with _seconds(took, "study"), _ObjectStore() as objects:
            histories = train_on_ray(named, range(seeds), data, store, quiet=True, make=make)
        with _seconds(took, "write"):
            ratios = dict.fromkeys(named, 1.0)
            results.save(folder, histories, settings, {}, ratios, data=data.summary())
        del histories
        with _seconds(took, "read"):
            results.read(folder)
        with _seconds(took, "page"):
            write_report(folder, *results.read(folder))
        took["csv"] = (folder / "results.csv").stat().st_size / 1e6
    return {**took, "objects": objects.most / 1e6, "driver": megabytes("VmHWM")}


@contextlib.contextmanager
def _seconds(took, name):
    start = time.perf_counter()
    yield
    took[name] = time.perf_counter() - start


class _ObjectStore(threading.Thread):
    """Looks at Ray's object store all the time.

    Attributes
    ----------
    most : int
        Bytes that it held at most.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self._ended = 0, threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()

    def run(self):
        """Look, until the context ends."""
        import ray
        from ray._private import internal_api  # what the dashboard shows

        address = ray.get_runtime_context().gcs_address
        state = internal_api.get_state_from_address(address)
        while not self._ended.wait(SAMPLED):
            reply = internal_api.get_memory_info_reply(state)
            self.most = max(self.most, reply.store_stats.object_store_bytes_used)


class _Until(Callback):
    """Interrupts a run after so many iterations."""

    def __init__(self, iterations):
        self._iterations = iterations

    def on_train_batch_end(self, run):
        """Interrupt it."""
        if len(run.history) == self._iterations:
            raise Interrupted(15)


def restarted(folder, iterations):
    """A function that trains the small ResNet up to an iteration, and saves a checkpoint there.

    It goes on from an earlier checkpoint, if there is one.
    """
    from research.running.on_ray import _trained

    data = Data.of(*random_examples(IMAGES), *random_examples(100), name="random")
    store = RunStore(folder, ["classic"])
    named = {"classic": Experiment(batch_size=BATCH, iterations=LENGTH, cache="off")}

    def run():
        with contextlib.suppress(Interrupted):
            _trained(None, named, 0, data, _Until(iterations), None, store, None, False)
        return store.iterations("classic", 0)

    return run
