"""TFModel: the interface that BatchFlow expects of a model, around a `Trainer`."""

import contextlib

import keras
import numpy as np
import tensorflow as tf
from batchflow.models.base import BaseModel

from batch import arrays
from batch import config as configs
from batch.model_file import read_model, restore, write_model
from batch.schedules import Constant
from batch.trainer import Trainer, cross_entropy, scaled

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
CHUNK = 500  # images that are predicted at a time
KEYS = ("inputs", "network", "optimizer", "learning_rate", "schedule", "loss", "seed", "precision")


class TFModel(BaseModel):
    """A network of blocks that is trained block by block.

    Parameters
    ----------
    config : dict
        - `inputs`: the shape of the images and the classes,
          `{'images': {'shape': (28, 28, 1)}, 'labels': {'classes': 10}}`; the only one required.
        - `network`: a list of Keras layers, the blocks, stem first; the last gives the logits.
          Not needed by the subclasses that bring a network.
        - `optimizer`: the name of a Keras optimizer, `(name, arguments)`, a dict with a `name`, or
          a Keras optimizer; SGD by default.
        - `learning_rate`: constant, in place of the optimizer's own.
        - `schedule`: a callable from the iteration to the rates of the blocks, or
          `(name, arguments)` with FreezeOut, Annealed or Constant; in place of `learning_rate`.
        - `loss`: a callable from labels `(n,)` and logits `(n, classes)` to losses `(n,)`; softmax
          cross-entropy by default.
        - `seed`: of the initial weights; 0 by default.
        - `precision`: `'float32'` or `'bfloat16'` (weights, statistics and loss stay float32).

    Attributes
    ----------
    network : keras.Sequential
        The blocks.
    trainer : Trainer
        What trains them.

    Raises
    ------
    ValueError
        If the config holds an unknown key or a value that does not fit.
    """

    def __init__(self, config=None):
        config = configs.as_dict(config)
        config.pop("build", None)
        load = config.pop("load", None)
        if load is not None:
            self._open(load["path"], config)
        else:
            self._build(config)

    def make_network(self, shape, classes, seed):
        """The blocks, for images of `shape` (H, W, C); subclasses bring their own."""
        raise ValueError(
            f"{type(self).__name__} needs a 'network': a list of Keras layers, the last of which "
            f"gives {classes} logits for images of shape {shape}."
        )

    @property
    def classes(self):
        """Number of classes."""
        return self.network.output_shape[-1]

    @property
    def iteration(self):
        """Training steps made so far."""
        return self.trainer.iteration

    @property
    def frozen(self):
        """Leading blocks that were frozen in the last training step."""
        return self.trainer.frozen

    def train(self, images, labels, indices=None, fetches="loss"):
        """One training step.

        Parameters
        ----------
        images : array_like, shape (N, H, W) or (N, H, W, C)
            `uint8` is divided by 255, anything else taken as it is. An array that comes again is
            not moved to the device again; do not change it in place.
        labels : array_like, shape (N,) or (N, classes)
            Class numbers, or one-hot rows.
        indices : array_like of int, shape (n,), optional
            The rows to train on; all by default.
        fetches : 'loss'
            What to return.

        Returns
        -------
        float
            The mean loss of these rows, before the update.

        Raises
        ------
        ValueError
            If images, labels or indices do not fit the network or each other.
        TrainingError
            If the loss is not finite.
        """
        if fetches != "loss":
            raise ValueError(f"A training step gives fetches='loss'. Received: {fetches!r}")
        images, labels, indices = self._place(images, labels, indices)
        return self.trainer.step(images, labels, indices)

    def predict(self, images, labels=None, indices=None, fetches="predictions"):
        """What the network says in inference mode.

        Parameters
        ----------
        images, indices
            As in `train`.
        labels : array_like, optional
            As in `train`; only `output_accuracy` and `loss` need them.
        fetches : str or list of str
            - `predictions`: logits, shape (n, classes)
            - `output_prob`: probabilities, shape (n, classes)
            - `output_labels`: class numbers, shape (n,)
            - `output_accuracy`: share of the images whose class is right
            - `loss`: mean loss

        Returns
        -------
        ndarray or float, or a list of them
            In the order of `fetches`.
        """
        names = [fetches] if isinstance(fetches, str) else list(fetches)
        configs.check_keys(names, _FETCHES, "fetches")
        if labels is None and {"output_accuracy", "loss"} & set(names):
            raise ValueError(f"These fetches need labels: {', '.join(names)}")
        given = labels if labels is not None else np.zeros(len(images), np.int64)
        images, given, indices = self._place(images, given, indices)
        logits = self._infer(images, indices)
        given = tf.gather(given, indices)
        outputs = [_FETCHES[name](logits, given, self.loss) for name in names]
        return outputs[0] if isinstance(fetches, str) else outputs

    def save(self, path):
        """Write weights, slots of the optimizers, iteration and config to one file.

        The file appears whole or not at all. A schedule or loss that is a callable of the user's
        own is not saved: give it again in the config of the model that loads.
        """
        write_model(path, self.network, self.trainer, self.config, self.optimizer)

    def load(self, path):
        """Read what `save` wrote; training goes on from there."""
        self._open(path, self.config)

    def reset(self):
        """Initial weights, empty slots, iteration 0.

        The initial weights of a network that came from a file alone are those of the file.
        """
        self._build(self.config)

    def _build(self, config, network=None):
        configs.check_keys(config, KEYS, type(self).__name__)
        self.config = config
        shape, classes = configs.read_inputs(config.get("inputs"))
        self.network = network or self._new_network(shape, classes)
        if self.network.output_shape != (None, classes):
            raise ValueError(
                f"The network must give {classes} logits an image, shape (None, {classes}). "
                f"Its last layer gives {self.network.output_shape}"
            )
        self.optimizer = configs.make_optimizer(config.get("optimizer", "SGD"))
        self.loss = config.get("loss") or cross_entropy
        self.trainer = Trainer(self.network, self.optimizer, self._schedule(), self.loss)
        self._inference = {}

    def _new_network(self, shape, classes):
        precision = self.config.get("precision", "float32")
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be float32 or bfloat16. Received: {precision!r}")
        with _policy(PRECISIONS[precision]):
            if "network" not in self.config:
                return self.make_network(shape, classes, self.config.get("seed", 0))
            return _copied(self.config["network"], shape)

    def _schedule(self):
        blocks = len(self.network.layers) - 1
        if "schedule" in self.config:
            if "learning_rate" in self.config:
                raise ValueError("Give 'learning_rate' or 'schedule', not both.")
            return configs.make_schedule(self.config["schedule"], blocks)
        # Keras keeps its own rate as a float32; its shortest form is the number that was given.
        own = float(str(np.float32(self.optimizer.learning_rate)))
        return Constant(blocks, self.config.get("learning_rate", own))

    def _place(self, images, labels, indices):
        shape = arrays.image_shape(images)
        if shape != tuple(self.network.input_shape[1:]):
            raise ValueError(
                f"The network takes images of shape {tuple(self.network.input_shape[1:])}. "
                f"Received: {shape}"
            )
        images, labels = arrays.place(images, labels, self.classes)
        rows = len(images)
        indices = np.arange(rows) if indices is None else np.asarray(indices, dtype=np.int64)
        if indices.size == 0 or indices.min() < 0 or indices.max() >= rows:
            raise ValueError(
                f"indices must be rows of the {rows} images. Received: "
                f"{f'{indices.min()} … {indices.max()}' if indices.size else 'none'}"
            )
        return images, labels, indices

    def _infer(self, images, indices):
        """Logits of some rows, computed in chunks to bound the memory it takes."""
        if images.dtype not in self._inference:
            self._inference[images.dtype] = self._compiled_inference(images)
        infer = self._inference[images.dtype]
        starts = range(0, len(indices), CHUNK)
        chunks = [infer(images, tf.constant(indices[at : at + CHUNK])) for at in starts]
        return tf.concat(chunks, axis=0)

    def _compiled_inference(self, images):
        def infer(images, indices):
            features = scaled(tf.gather(images, indices))
            return tf.cast(self.network(features, training=False), tf.float32)

        rows = tf.TensorSpec((None, *images.shape[1:]), images.dtype)
        indices = tf.TensorSpec((None,), tf.int64)
        return tf.function(infer, autograph=False).get_concrete_function(rows, indices)

    def _open(self, path, config):
        network, saved, left_out, state = read_model(path)
        missing = [key for key in left_out if key not in config]
        if missing:
            raise ValueError(
                f"{path} was saved without its {' and '.join(missing)}, which no file can hold: "
                "give the config that has them."
            )
        if type(self).make_network is TFModel.make_network:
            saved["network"] = _copied(network.layers, network.input_shape[1:]).layers
        self._build({**saved, **config}, network)
        restore(self.trainer, state)


_FETCHES = {
    "predictions": lambda logits, labels, loss: logits.numpy(),
    "output_prob": lambda logits, labels, loss: tf.nn.softmax(logits).numpy(),
    "output_labels": lambda logits, labels, loss: tf.argmax(logits, axis=-1).numpy(),
    "output_accuracy": lambda logits, labels, loss: float(
        tf.reduce_mean(tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32))
    ),
    "loss": lambda logits, labels, loss: float(tf.reduce_mean(loss(labels, logits))),
}


@contextlib.contextmanager
def _policy(name):
    """Layers made inside have this dtype policy; the one in force outside comes back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _copied(layers, shape):
    """A network of new layers like those given, with their weights where they have some.

    So one list can serve for several models, and none of them changes the user's layers.
    """
    twins = [type(layer).from_config(layer.get_config()) for layer in layers]
    network = keras.Sequential([keras.Input(shape), *twins])
    for layer, twin in zip(layers, twins):
        if layer.built:
            twin.set_weights(layer.get_weights())
    return network
