"""What TensorBoard shows of a run: written as it goes, in TensorBoard's event files."""

import pathlib

import tensorflow as tf

from research.callbacks import Callback

EVERY = 10  # iterations from one record of the blocks' rates to the next
IMAGES = 8  # of the first batch

Summary = tf.compat.v1.Summary


class TensorBoardLog(Callback):
    """Writes a run's curves for TensorBoard; steps are numbers of training steps made.

    - `loss` and `step_seconds`, every step
    - `learning_rate/` and `active/` with the name of each block, every 10 steps and whenever
      another block is frozen; the classifier follows the last block
    - `train/cross_entropy`, the mean since the last evaluation, and `eval/` with the name of each
      metric, every evaluation
    - `images/`, 8 images of the first batch, as they are stored

    Parameters
    ----------
    folder : path
        What to give to `tensorboard --logdir`.
    made : int
        Steps after which the run is resumed: TensorBoard forgets what earlier files say of later
        ones.
    replace : bool
        Write where there are curves of a run already.

    Raises
    ------
    FileExistsError
        If there are, and they are not to be replaced.
    """

    def __init__(self, folder, made=0, replace=False):
        if not replace and any(pathlib.Path(folder).glob("events.out.tfevents.*")):
            raise FileExistsError(
                f"{folder} holds curves of another run: choose another folder, or --overwrite"
            )
        self._active = None
        with tf.Graph().as_default():  # the writer that needs no package but TensorFlow
            self._writer = tf.compat.v1.summary.FileWriter(
                str(folder), filename_suffix=f".{made:08}"
            )
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._writer.add_session_log(start, made + 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.close()

    def on_train_batch_end(self, run):
        """Write the step's numbers."""
        step = len(run.history)
        values = {"loss": run.history.loss[-1], "step_seconds": run.history.seconds[-1]}
        layers = run.model.network.layers
        rates = run.model.trainer.rates
        active = (rates > 0).tolist()
        if active != self._active or step % EVERY == 0:
            for layer, rate in zip(layers, rates):
                values[f"learning_rate/{layer.name}"] = rate
                values[f"active/{layer.name}"] = rate > 0
        self._active = active
        self._scalars(values, step)
        if step == 1:
            self._images(run.data.train.images[run.indices[:IMAGES]])
        self._writer.flush()  # a checkpoint may follow, after which nobody writes this again

    def on_test_end(self, run, logs):
        """Write the results of the evaluation."""
        values = {"train/cross_entropy": logs["train_loss"]}
        values |= {f"eval/{name}": value for name, value in logs["eval"].items()}
        self._scalars(values, logs["iteration"])

    def _scalars(self, values, step):
        summary = Summary(
            value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        )
        self._writer.add_summary(summary, step)

    def _images(self, images):
        values = []
        for place, image in enumerate(images):
            height, width, channels = image.shape
            encoded = Summary.Image(
                height=height,
                width=width,
                colorspace=channels,
                encoded_image_string=tf.io.encode_png(image).numpy(),
            )
            values.append(Summary.Value(tag=f"images/{place}", image=encoded))
        self._writer.add_summary(Summary(value=values), 1)
