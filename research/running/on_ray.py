"""Runs on Ray: the seeds of a study are its tasks, and what they make comes back as it is made.

A seed is made by one worker, where its methods take turns, so their times can be compared. Data lie
in Ray's object store once. Finished runs and checkpoints are sent to the folder of the command, so
that a seed whose worker or node is lost goes on elsewhere from its last checkpoint.
"""

import contextlib
import functools
import pathlib
import sys
import tempfile
import time

from batch.data.checkpoint import Checkpoints
from batch.data.mapped import mapping_of
from research.interruption import Interrupted, finished_first, interruptible
from research.running.callbacks import Callback
from research.running.progress import Progress
from research.storage.run_store import RunStore

LOOK = 0.5  # seconds from one report of a worker to the next
STOP = 60  # seconds that workers have to save their checkpoints, when the command is interrupted


def train_on_ray(
    named,
    seeds,
    data,
    store,
    *,
    quiet=False,
    callbacks=None,
    every=None,
    threads=1,
    cpus=1,
    address=None,
    make=None,
):
    """As `research.running.comparison.train_in_turns`, on a cluster.

    Parameters
    ----------
    named, seeds, data, store, quiet, callbacks, every
        As for `train_in_turns`; the experiments are settled.
    threads : int
        TensorFlow's, in each worker. They decide the last bits, not the engine.
    cpus : int
        What a seed asks Ray for.
    address : str, optional
        Of a cluster; by default Ray starts on this machine alone, and ends with the command.
    make : callable, optional
        What makes the runs of a seed in its worker, in place of training, so that a study can be
        simulated. Its arguments are those of `Turns.of_seed`, and whether to look for mistakes.

    Returns
    -------
    list of History

    Raises
    ------
    ImportError
        If Ray is not installed.
    ValueError
        If the images lie in a mapped file.
    """
    ray = _imported()
    if mapping_of(data.train.images) is not None or mapping_of(data.test.images) is not None:
        raise ValueError(
            f"--engine ray keeps all images in its object store, and those of {data.name} are too "
            "many for the memory: use --engine local"
        )
    total = len(seeds) * sum(experiment.iterations for experiment in named.values())
    made = sum(store.iterations(label, seed) for label in named for seed in seeds)
    with _cluster(ray, address), interruptible():
        keeper = _on_this_node(ray, ray.remote(_Keeper)).remote(store.folder, list(named))
        _pickle_by_value(ray, named)
        make = make or functools.partial(_trained, threads)
        everything = ray.put((named, data, callbacks, make))
        task = ray.remote(_seed_made).options(
            num_cpus=cpus, max_retries=-1, scheduling_strategy="SPREAD"
        )
        waiting = [task.remote(keeper, everything, seed, every, seed == seeds[0]) for seed in seeds]
        with Progress(total, made, quiet, data.summary()) as progress:
            try:
                _watched(ray, keeper, waiting, progress)
            except BaseException:
                _stopped(ray, keeper, waiting)
                raise
    return _histories(store, named, seeds)


def _imported():
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "--engine ray needs Ray, which is not installed: pip install 'resbatch[ray]'"
        ) from error
    return ray


@contextlib.contextmanager
def _cluster(ray, address):
    """Within this context, there is a connection to a cluster; that of the caller, if there is."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": "error"}
    own = {} if address else {"include_dashboard": False}
    ray.init(address=address or "local", **quiet, **own)
    try:
        yield
    finally:
        ray.shutdown()


def _on_this_node(ray, actor):
    """The actor where the command runs, since it writes to the command's folder."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return actor.options(num_cpus=0, scheduling_strategy=here)


def _pickle_by_value(ray, named):
    """Send the code of methods that are in files of the user's own, which workers can't import."""
    for experiment in named.values():
        module = sys.modules.get(getattr(experiment.trained_by.config, "__module__", ""))
        if module and not module.__name__.startswith("research."):
            ray.cloudpickle.register_pickle_by_value(module)


def _watched(ray, keeper, waiting, progress):
    """Wait until all tasks are done; `waiting` loses those that are.

    All of them are looked at together, now and then: of thousands, each look takes its time.
    """
    while waiting:
        with finished_first():  # Ray hides what a signal raises while it waits
            done, waiting[:] = ray.wait(waiting, num_returns=len(waiting), timeout=LOOK)
            progress.count(*ray.get(keeper.news.remote()))
            ray.get(done)


def _histories(store, named, seeds):
    """The histories of all runs; rates that are the same in all seeds take memory once."""
    histories, first = [], {}
    for history in (store.history(label, seed) for seed in seeds for label in named):
        shared = first.setdefault(history.method, history.rates)
        history.rates = shared if history.rates == shared else history.rates
        histories.append(history)
    return histories


def _stopped(ray, keeper, waiting):
    """Let workers save their checkpoints, and end them."""
    keeper.stop.remote()
    ray.wait(waiting, num_returns=len(waiting), timeout=STOP)
    for task in waiting:
        ray.cancel(task, force=True)


def _seed_made(keeper, everything, seed, every, look):
    """A task: make the runs of a seed and send them to the keeper; end early if it is to stop."""
    named, data, callbacks, make = everything
    own = functools.partial(callbacks, seed=seed) if callbacks else None
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Interrupted):
        progress = _SentProgress(keeper)
        progress.send(wait=True)  # a task that waited until now may not begin at all
        store = _SentStore(keeper, folder, list(named), seed)
        make(named, seed, data, progress, own, store, every, look)


def _trained(threads, named, seed, data, *more):
    """Train the runs of a seed; a worker warms up before its first alone."""
    from batch.runtime import set_threads
    from research.running.turns import Turns, warm_up

    set_threads(threads)
    if not _warm:
        warm_up(named, data)
        _warm.append(True)
    *rest, look = more
    Turns.of_seed(named, seed, data, *rest).take(look)


_warm = []  # something, once this process is


class _Keeper:
    """An actor beside the command: it keeps in the command's folder what workers send."""

    def __init__(self, folder, labels):
        self._store = RunStore(folder, labels)
        self._made, self._text, self._stopping = 0, "", False

    def kept(self, seed):
        """What there is of a seed: its histories, and the newest checkpoints as files."""
        return self._store.packed(seed)

    def checkpoint(self, label, seed, name, files):
        """Keep a checkpoint."""
        self._store.checkpoints(label, seed).put(name, files)

    def finish(self, label, seed, history):
        """Keep a history."""
        self._store.finish(label, seed, history)

    def progress(self, made, text):
        """Count iterations; the answer is whether to stop."""
        self._made, self._text = self._made + made, text or self._text
        return self._stopping

    def news(self):
        """Iterations since the last call, and the text of the last of them."""
        made, self._made = self._made, 0
        return made, self._text

    def stop(self):
        """Let workers stop."""
        self._stopping = True


def _answer(ref):
    """What the keeper answers to a worker's call.

    It is not waited for by `ray.get`: Ray would lend the waiting task's processor to the next task,
    and both would train on it afterwards.
    """
    return ref.future().result()


class _SentStore(RunStore):
    """A worker's store of one seed, which begins with what the keeper has, and sends it all."""

    def __init__(self, keeper, folder, labels, seed):
        super().__init__(pathlib.Path(folder), labels)
        self._keeper = keeper
        self.unpack(seed, _answer(keeper.kept.remote(seed)))

    def checkpoints(self, label, seed):
        """Checkpoints that are sent as they are saved."""

        def send(name, files):
            _answer(self._keeper.checkpoint.remote(label, seed, name, files))

        return _SentCheckpoints(super().checkpoints(label, seed).folder, send)

    def finish(self, label, seed, history):
        """Have the keeper keep a history: here it is not needed any more."""
        _answer(self._keeper.finish.remote(label, seed, history))


class _SentCheckpoints(Checkpoints):
    """Checkpoints that are sent as they are saved."""

    def __init__(self, folder, send):
        super().__init__(folder, keep=1)
        self._send = send

    def save(self, model, history, run):
        """Save, and send."""
        super().save(model, history, run)
        self._send(*self.packed())


class _SentProgress(Callback):
    """Sends how many iterations are made; is answered whether to stop.

    Training goes on meanwhile: what the keeper writes for others makes nobody wait.
    """

    def __init__(self, keeper):
        self._keeper = keeper
        self._made, self._last, self._answer = 0, time.monotonic(), None

    def on_train_batch_end(self, run):
        """Count, and send every now and then, and after the last iteration."""
        self._made += 1
        whole = len(run.history) == run.experiment.iterations
        if whole or time.monotonic() - self._last >= LOOK:
            self.send(f"{run.history.method}, seed {run.history.seed}", wait=whole)

    def send(self, text="", wait=False):
        """Send, if there was an answer to what was sent before; `wait` for all answers.

        Raises
        ------
        Interrupted
            If the answer is to stop.
        """
        if self._answer and not (wait or self._answer.done()):
            return
        self._check()
        self._answer = self._keeper.progress.remote(self._made, text).future()
        self._made, self._last = 0, time.monotonic()
        if wait:
            self._check()

    def _check(self):
        if self._answer and self._answer.result():
            raise Interrupted(15)
