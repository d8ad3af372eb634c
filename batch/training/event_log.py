"""What TensorBoard shows of training: the same curves by the same names, whoever trains."""

import pathlib

import tensorflow as tf

EVERY = 10  # steps from one record of the blocks' rates to the next
FILES = "events.out.tfevents.*"

Summary = tf.compat.v1.Summary


class EventLog:
    """Writes event files for TensorBoard; steps are numbers of training steps made.

    - `loss` and `step_seconds`, every step
    - `learning_rate/` and `active/` with the name of each block, and `frozen`, the number of
      leading frozen blocks, every 10 steps and whenever another block is frozen; the classifier
      follows the last block
    - the graph of the network, once

    A pipeline of BatchFlow calls it with the model, after the action that trains:
    `.train_freez(…).call(log, M("freeznet"))`. Under `fit`, see `batch.BlockTensorBoard`.

    Parameters
    ----------
    folder : path
        What to give to `tensorboard --logdir`.
    replace : bool
        Write where there are curves of a run already: TensorBoard forgets what earlier files say of
        later steps.

    Raises
    ------
    FileExistsError
        If there are, and they are not to be replaced.

    Examples
    --------
    >>> import tempfile
    >>> log = EventLog(tempfile.mkdtemp())
    >>> log.scalars({"eval/accuracy": 0.98}, step=100)
    >>> log.close()
    """

    def __init__(self, folder, replace=False):
        self.folder = pathlib.Path(folder)
        check_free(folder, replace)
        self._active = self._writer = None

    def __call__(self, model):
        """Write the last step of a `TFModel`."""
        self.step(model.trainer)

    def step(self, trainer, seconds=None):
        """Write the last step of a trainer.

        Parameters
        ----------
        trainer : Trainer
        seconds : float, optional
            That it took; by default, what it took the trainer.
        """
        step = trainer.iteration
        values = {"loss": trainer.loss, "step_seconds": seconds or trainer.seconds}
        active = (trainer.rates > 0).tolist()
        if active != self._active or step % EVERY == 0:
            values["frozen"] = trainer.frozen
            for layer, rate in zip(trainer.network.layers, trainer.rates):
                values[f"learning_rate/{layer.name}"] = rate
                values[f"active/{layer.name}"] = rate > 0
        self._active = active
        self.scalars(values, step)
        if step == 1:
            self._graph(trainer.network)
        self._writer.flush()  # a checkpoint may follow, after which nobody writes this again

    def scalars(self, values, step):
        """Write numbers, by their names."""
        self.add(
            Summary(
                value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
            ),
            step,
        )

    def images(self, images, step):
        """Write images of shape `(H, W, C)`, uint8."""
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
        self.add(Summary(value=values), step)

    def add(self, summary, step):
        """Write a summary; the first one says that earlier files end before it."""
        if self._writer is None:
            with tf.Graph().as_default():  # the writer that needs no package but TensorFlow
                self._writer = tf.compat.v1.summary.FileWriter(
                    str(self.folder), filename_suffix=f".{step - 1:08}"
                )
            start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
            self._writer.add_session_log(start, step)
        self._writer.add_summary(summary, step)

    def close(self):
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()

    def _graph(self, network):
        shape = (None, *network.input_shape[1:])
        traced = tf.function(lambda images: network(images, training=False), autograph=False)
        function = traced.get_concrete_function(tf.TensorSpec(shape, network.inputs[0].dtype))
        self._writer.add_graph(function.graph)


def check_free(folder, replace=False):
    """Refuse a folder with curves of another run, unless they are to be replaced."""
    if not replace and any(pathlib.Path(folder).rglob(FILES)):
        raise FileExistsError(
            f"{folder} holds curves of another run: choose another folder, or --overwrite"
        )
