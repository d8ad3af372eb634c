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

from batch.data.mapped import mapping_of
from batch.models.checkpoint import Checkpoints
from research.callbacks import Callback
from research.interruption import Interrupted, finished_first, interruptible
from research.progress import Progress
from research.run_store import RunStore
from research.turns import Turns, warm_up

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
):
    """As `research.comparison.train_in_turns`, on a cluster.

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
        everything = ray.put((named, data, callbacks))
        task = ray.remote(_seed_made).options(
            num_cpus=cpus, max_retries=-1, scheduling_strategy="SPREAD"
        )
        waiting = {
            task.remote(keeper, everything, seed, threads, every, seed == seeds[0]): seed
            for seed in seeds
        }
        with Progress(total, made, quiet, data.summary()) as progress:
            try:
                histories = _collected(ray, keeper, waiting, progress)
            except BaseException:
                _stopped(ray, keeper, waiting)
                raise
    return [history for seed in seeds for history in histories[seed]]


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


def _collected(ray, keeper, waiting, progress):
    """The histories of each seed, as they are done; `waiting` loses those that are."""
    histories = {}
    while waiting:
        with finished_first():  # Ray hides what a signal raises while it waits
            done, _ = ray.wait(list(waiting), timeout=LOOK)
            progress.count(*ray.get(keeper.news.remote()))
            for task in done:
                histories[waiting.pop(task)] = ray.get(task)
    return histories


def _stopped(ray, keeper, waiting):
    """Let workers save their checkpoints, and end them."""
    keeper.stop.remote()
    ray.wait(list(waiting), num_returns=len(waiting), timeout=STOP)
    for task in waiting:
        ray.cancel(task, force=True)


def _seed_made(keeper, everything, seed, threads, every, look):
    """A task: the histories of a seed; None if it was stopped."""
    from batch.runtime import set_threads

    set_threads(threads)
    named, data, callbacks = everything
    own = functools.partial(callbacks, seed=seed) if callbacks else None
    warm_up(named, data)
    with tempfile.TemporaryDirectory() as folder:
        store = _SentStore(keeper, folder, list(named), seed)
        try:
            progress = _SentProgress(keeper)
            return Turns.of_seed(named, seed, data, progress, own, store, every).take(look)
        except Interrupted:
            return None


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
        self._made, self._text = self._made + made, text
        return self._stopping

    def news(self):
        """Iterations since the last call, and the text of the last of them."""
        made, self._made = self._made, 0
        return made, self._text

    def stop(self):
        """Let workers stop."""
        self._stopping = True


class _SentStore(RunStore):
    """A worker's store of one seed, which begins with what the keeper has, and sends it all."""

    def __init__(self, keeper, folder, labels, seed):
        import ray

        super().__init__(pathlib.Path(folder), labels)
        self._ray, self._keeper = ray, keeper
        self.unpack(seed, ray.get(keeper.kept.remote(seed)))

    def checkpoints(self, label, seed):
        """Checkpoints that are sent as they are saved."""

        def send(name, files):
            self._ray.get(self._keeper.checkpoint.remote(label, seed, name, files))

        return _SentCheckpoints(super().checkpoints(label, seed).folder, send)

    def finish(self, label, seed, history):
        """Keep a history here and there."""
        self._ray.get(self._keeper.finish.remote(label, seed, history))
        super().finish(label, seed, history)


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
    """Sends how many iterations are made; is answered whether to stop."""

    def __init__(self, keeper):
        import ray

        self._ray, self._keeper = ray, keeper
        self._made, self._last = 0, time.monotonic()

    def on_train_batch_end(self, run):
        """Count, and send every now and then, and after the last iteration."""
        self._made += 1
        whole = len(run.history) == run.experiment.iterations
        if not whole and time.monotonic() - self._last < LOOK:
            return
        text = f"{run.history.method}, seed {run.history.seed}"
        stop = self._ray.get(self._keeper.progress.remote(self._made, text))
        self._made, self._last = 0, time.monotonic()
        if stop:
            raise Interrupted(15)
