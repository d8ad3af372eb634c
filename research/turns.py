"""The runs of one seed, which take turns of a few iterations."""

import dataclasses

from research.callbacks import CheckpointEvery
from research.interruption import Interrupted
from research.mistakes import mistakes
from research.run import Run

TURN = 10  # iterations


class Turns:
    """Runs of one seed, from their beginning or from what is kept of them.

    Parameters
    ----------
    named : dict from str to Experiment
        By their labels, all with the same seed.
    data : utils.Data
    progress : research.callbacks.Callback
        Of all of them.
    callbacks : callable, optional
        From a label to callbacks of that run.
    store : RunStore, optional
    every : int, optional
        As for `CheckpointEvery`, which has the checkpoints of the store.
    look : bool
        Whether to look for their mistakes.
    """

    def __init__(self, named, data, progress, callbacks=None, store=None, every=None, look=False):
        self._named, self._data, self._progress = named, data, progress
        self._callbacks, self._store, self._every = callbacks, store, every
        self._look = look
        self._savers = {}

    def take(self):
        """Make what is left of the runs; their histories, in the order of their labels."""
        finished = {label: self._finished(label) for label in self._named}
        waiting = {label: self._run(label) for label, history in finished.items() if not history}
        try:
            while waiting:
                for label, run in list(waiting.items()):
                    run.advance(TURN)
                    run.settle()
                    if run.done:
                        finished[label] = self._made(label, run)
                        del waiting[label]
        except Interrupted:
            for label, run in waiting.items():
                if self._store and run.history:
                    self._savers[label].save(run)
            raise
        return [finished[label] for label in self._named]

    def _made(self, label, run):
        if self._look:
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
