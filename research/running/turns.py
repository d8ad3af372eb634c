"""The runs of one seed, which take turns of a few iterations."""

import dataclasses

from research.interruption import Interrupted
from research.running.callbacks import CheckpointEvery
from research.running.mistakes import mistakes
from research.running.run import Run

TURN = 10  # iterations


class Turns:
    """Runs of one seed, from their beginning or from what is kept of them.

    Parameters
    ----------
    named : dict from str to Experiment
        By their labels, all with the same seed.
    data : utils.Data
    progress : research.running.callbacks.Callback
        Of all of them.
    callbacks : callable, optional
        From a label to callbacks of that run.
    store : RunStore, optional
    every : int, optional
        As for `CheckpointEvery`, which has the checkpoints of the store.
    """

    def __init__(self, named, data, progress, callbacks=None, store=None, every=None):
        self._named, self._data, self._progress = named, data, progress
        self._callbacks, self._store, self._every = callbacks, store, every
        self._savers = {}

    @classmethod
    def of_seed(cls, named, seed, *rest, **more):
        """The same, with one seed for all."""
        seeded = {label: dataclasses.replace(made, seed=seed) for label, made in named.items()}
        return cls(seeded, *rest, **more)

    def take(self, look=False):
        """Make what is left of the runs; their histories, in the order of their labels.

        Parameters
        ----------
        look : bool
            Whether to look for their mistakes.
        """
        finished = {label: self._finished(label) for label in self._named}
        waiting = {label: self._run(label) for label, history in finished.items() if not history}
        try:
            while waiting:
                for label, run in list(waiting.items()):
                    run.advance(TURN)
                    run.settle()
                    if run.done:
                        finished[label] = self._made(label, run, look)
                        del waiting[label]
        except Interrupted:
            for label, run in waiting.items():
                if self._store and run.history:
                    self._savers[label].save(run)
            raise
        return [finished[label] for label in self._named]

    def _made(self, label, run, look):
        if look:
            run.history.mistakes = mistakes(run.model, self._data.test)
        history = dataclasses.replace(run.history, method=label)
        if self._store:
            self._store.finish(label, history.seed, history)
        return history

    def _finished(self, label):
        return self._store.history(label, self._named[label].seed) if self._store else None

    def _run(self, label):
        callbacks = [self._progress, *(self._callbacks(label) if self._callbacks else ())]
        run = Run(self._named[label], self._data, callbacks)
        if self._store:
            checkpoints = self._store.checkpoints(label, self._named[label].seed)
            run.resume(checkpoints)
            self._savers[label] = CheckpointEvery(checkpoints, self._every)
            run.callbacks.append(self._savers[label])
        return run


def warm_up(named, data):
    """Make a short run that is thrown away: TensorFlow's first steps are nobody's disadvantage."""
    short = {"iterations": 2, "freeze_iterations": None, "freeze_every": None}
    Run(dataclasses.replace(next(iter(named.values())), **short), data).advance(2)
