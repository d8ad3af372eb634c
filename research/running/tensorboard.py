"""What TensorBoard shows of a run: written as it goes, in TensorBoard's event files."""

import dataclasses

from batch.training.event_log import EventLog, Summary, check_free
from research.methods.options import SHARED
from research.running.callbacks import Callback

IMAGES = 8  # of the first batch
ACCURACY = "test/accuracy"


class TensorBoardLog(Callback):
    """Writes a run's curves for TensorBoard; steps are numbers of training steps made.

    Beside what `batch.EventLog` writes:

    - `train/cross_entropy`, the mean since the last evaluation, and `eval/` with the name of each
      metric, every evaluation
    - `images/`, 8 images of the first batch, as they are stored
    - `test/accuracy` at the end, and the settings of the run, for TensorBoard's table of runs (if
      its package is installed)

    Parameters
    ----------
    folder : path
        What to give to `tensorboard --logdir`.
    replace : bool
        Write where there are curves of a run already: TensorBoard forgets what earlier files say of
        steps that are made again.

    Raises
    ------
    FileExistsError
        If there are, and they are not to be replaced.
    """

    def __init__(self, folder, replace=False):
        self._log = EventLog(folder, replace)

    def on_train_batch_end(self, run):
        """Write the step's numbers."""
        step = len(run.history)
        if step == 1:
            self._log.images(run.data.train.images[run.indices[:IMAGES]], step)
        self._log.step(run.model.trainer, run.history.seconds[-1])

    def on_test_end(self, run, logs):
        """Write the results of the evaluation."""
        values = {"train/cross_entropy": logs["train_loss"]}
        values |= {f"eval/{name}": value for name, value in logs["eval"].items()}
        self._log.scalars(values, logs["iteration"])

    def on_train_end(self, run):
        """Write what the run gave, and its settings."""
        step = len(run.history)
        self._log.scalars({ACCURACY: run.history.accuracy}, step)
        settings = _settings(run.experiment)
        if settings is not None:
            self._log.add(settings, step)
        self._log.close()


def logs_of_runs(folder, replace=False):
    """A function of label and seed to the log of that run, in a folder of its own in `folder`."""
    check_free(folder, replace)
    return lambda label, seed: [TensorBoardLog(f"{folder}/{label}/seed-{seed}", replace)]


def _settings(experiment):
    """The summary for TensorBoard's table of runs; None without its package."""
    try:
        from tensorboard.plugins.hparams import api
    except ImportError:
        return None
    given = dataclasses.asdict(experiment.with_rates())
    plain = {
        name: value for name, value in given.items() if isinstance(value, (bool, int, float, str))
    }
    options = experiment.trained_by.options
    settings = {"method": experiment.label, **experiment.model_options}
    settings |= {name: plain[name] for name in plain if name not in SHARED or name in options}
    name = f"{experiment.label}, seed {experiment.seed}"
    return Summary.FromString(api.hparams_pb(settings, name).SerializeToString())
