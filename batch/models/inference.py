"""A network in inference mode, compiled once for each type of images."""

import tensorflow as tf

CHUNK = 500  # images at a time, to bound the memory that is taken


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
        """Logits of the examples, shape `(n, classes)`, float32."""
        images, rows = examples.images, examples.rows
        if images.dtype not in self._compiled:
            self._compiled[images.dtype] = self._compile(images)
        infer = self._compiled[images.dtype]
        starts = range(0, len(rows), CHUNK)
        return tf.concat([infer(images, tf.constant(rows[at : at + CHUNK])) for at in starts], 0)

    def _compile(self, images):
        def infer(images, rows):
            features = self.preprocessing.inference(tf.gather(images, rows))
            return tf.cast(self.network(features, training=False), tf.float32)

        whole = tf.TensorSpec((None, *images.shape[1:]), images.dtype)
        rows = tf.TensorSpec((None,), tf.int64)
        return tf.function(infer, autograph=False).get_concrete_function(whole, rows)
