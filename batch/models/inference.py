"""A network in inference mode, compiled once for each type of images."""

import tensorflow as tf

from batch.networks.added_losses import added_losses, regularized, total, weight_penalty

CHUNK = 500  # images at a time, to bound the memory that is taken; fewer of large ones
LARGE = 64 * 64  # pixels


class Inference:
    """Computes logits of examples, in chunks.

    Parameters
    ----------
    network : keras.Sequential
    preprocessing : Preprocessing
    """

    def __init__(self, network, preprocessing):
        self.network = network
        self.preprocessing = preprocessing
        self._compiled = {}

    def __call__(self, examples):
        """Predictions for some examples.

        Returns
        -------
        logits : tensor, shape (n, classes), float32
        added : float
            What layers add to the loss: of chunks, the mean, in which each counts by its size.
        """
        images, rows = examples.images, examples.rows
        if images.dtype not in self._compiled:
            self._compiled[images.dtype] = self._compile(images)
        infer = self._compiled[images.dtype]
        size = _chunk(images.shape[1:])
        chunks = [rows[at : at + size] for at in range(0, len(rows), size)]
        logits, added = zip(*(infer(images, tf.constant(chunk)) for chunk in chunks))
        sizes = [len(chunk) / len(rows) for chunk in chunks]
        return tf.concat(logits, 0), sum(
            size * float(loss) for size, losses in zip(sizes, added) for loss in losses
        )

    def _compile(self, images):
        def infer(images, rows):
            features = self.preprocessing.inference(tf.gather(images, rows))
            with added_losses(self.network) as losses:
                logits = tf.cast(self.network(features, training=False), tf.float32)
            return logits, total([*losses, *weight_penalty(regularized(self.network))])

        whole = tf.TensorSpec((None, *images.shape[1:]), images.dtype)
        rows = tf.TensorSpec((None,), tf.int64)
        return tf.function(infer, autograph=False).get_concrete_function(whole, rows)


def _chunk(shape):
    """How many images of a shape (H, W, C), or inputs of another, are computed at a time."""
    pixels = shape[0] * shape[1] if len(shape) == 3 else 0
    return max(1, CHUNK * LARGE // max(pixels, LARGE))
