"""TensorBoard's curves under `fit`, by the names that they have in pipelines and for commands."""

import keras

from batch.training.event_log import EventLog


class BlockTensorBoard(keras.callbacks.Callback):
    """Writes the curves of a `BlockModel` for TensorBoard, as `batch.training.event_log.EventLog`.

    After each epoch, `train/` and the name of each metric, and `eval/` with those on the validation
    data; a loss that is a cross-entropy is called so.

    Parameters
    ----------
    log_dir : path
        What to give to `tensorboard --logdir`.
    replace : bool
        As for `EventLog`.
    """

    def __init__(self, log_dir, replace=False):
        super().__init__()
        self.log = EventLog(log_dir, replace)

    def on_train_batch_end(self, batch, logs=None):
        """Write the step."""
        self.log.step(self._trainer)

    def on_epoch_end(self, epoch, logs=None):
        """Write what the epoch gave."""
        values = {}
        for name, value in (logs or {}).items():
            part, known = ("eval", name[4:]) if name.startswith("val_") else ("train", name)
            if known != "frozen":
                values[f"{part}/{self._named(known)}"] = value
        self.log.scalars(values, self._trainer.iteration)

    def on_train_end(self, logs=None):
        """Write what is left."""
        self.log.close()

    @property
    def _trainer(self):
        return self.model._training.trainer  # noqa: SLF001 of this package

    def _named(self, name):
        loss = keras.losses.get(self.model.loss)
        of_classes = "crossentropy" in type(loss).__name__.lower()
        return "cross_entropy" if name == "loss" and of_classes else name
