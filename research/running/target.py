"""When a run reaches a target accuracy."""

from research.running.callbacks import Callback
from research.running.evaluation import Evaluation

ROUNDING = 1e-6  # of the accuracy that is reached


class TimeToTarget(Callback):
    """Evaluates after every epoch, until the accuracy is at a target; seconds don't count that.

    What it sees is in the `target` of the run's history: the `accuracy` to reach and, once it is
    reached, after how many `iterations` and `seconds` of training; else None.

    Parameters
    ----------
    accuracy : float
        On all images to test on, a share of 1.
    """

    def __init__(self, accuracy):
        self._accuracy = accuracy

    def on_train_batch_end(self, run):
        """Evaluate, where an epoch or the run ends."""
        history, split = run.history, run.data.test
        if history.target is None:
            unknown = {"iterations": None, "seconds": None}
            history.target = {"accuracy": self._accuracy, **unknown}
        reached = history.target["iterations"] is not None
        if reached or not Evaluation().on(run.experiment, run.data).due(len(history)):
            return
        run.settle()  # what other threads do meanwhile would count for nothing
        accuracy = run.model.predict(split.images, split.labels, fetches="output_accuracy")
        if accuracy >= self._accuracy - ROUNDING:
            history.target |= {"iterations": len(history), "seconds": sum(history.seconds)}
