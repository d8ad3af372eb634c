"""From the batches that `fit` gives to `Examples`, and which example is which."""

import collections
import contextlib

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters import data_adapter_utils

from batch.checks import instance, received
from batch.data.examples import Examples
from batch.data.mapped import mapping_of
from batch.models.placed import as_tensor, place_once

Identified = collections.namedtuple("Identified", ("inputs", "id"))  # inputs of `with_ids`


def with_ids(dataset):
    """A dataset whose examples know which they are, so that what frozen blocks compute is kept.

    Put it before shuffling. What comes after it must be the same each time that an example is
    seen: nothing random may change it.

    Parameters
    ----------
    dataset : tf.data.Dataset
        Of single examples: inputs, or a tuple of inputs, labels and, perhaps, weights.

    Returns
    -------
    tf.data.Dataset
        For `BlockModel`, once it is batched.
    """
    instance("dataset", dataset, tf.data.Dataset, "a tf.data.Dataset")

    def identified(number, example):
        if not isinstance(example, tuple):
            return Identified(example, number)
        inputs, *rest = example
        return (Identified(inputs, number), *rest)

    return dataset.enumerate().map(identified)


def unread(inputs):
    """An array in a mapped file as a tensor, which Keras does not copy; other inputs as they are.

    Keras would read it whole, and it makes float32 of all floats. It may stand in a list, a tuple
    or a dict alone.
    """
    if _single(inputs) is not inputs:
        return keras.tree.map_structure(unread, inputs)
    if not isinstance(inputs, np.ndarray) or mapping_of(inputs) is None:
        return inputs
    return as_tensor(inputs, np.float32 if inputs.dtype.kind == "f" else None)


class Batches:
    """What `fit` gives for a batch, as `Examples`.

    Rows of arrays identify the examples of these: `fit` gets the rows in place of the inputs.

    Attributes
    ----------
    placed : list of tensor, or None
        Arrays, inputs and labels, while batches are rows of them.
    """

    def __init__(self):
        self.placed = None

    @property
    def are_rows(self):
        """Whether `fit` has rows in place of inputs."""
        return self.placed is not None

    @contextlib.contextmanager
    def of(self, inputs, labels):
        """Within this context, batches are of these; yields what `fit` is to get as inputs."""
        pair = [_single(each) for each in (inputs, labels)]
        if not all(isinstance(each, (np.ndarray, tf.Tensor)) for each in pair):
            yield unread(inputs)
            return
        self.placed = [place_once(each, as_tensor, None, "as given") for each in pair]
        try:
            yield np.arange(len(pair[0]))
        finally:
            self.placed = None

    def read(self, batch):
        """A batch of `fit`, as `Examples`, and its labels and weights alone, as tensors or None."""
        inputs, labels, weights = data_adapter_utils.unpack_x_y_sample_weight(batch)
        if labels is None:
            raise ValueError("y must be given: a BlockModel learns from labels. Received: None")
        labels = tf.convert_to_tensor(_one("y", labels))
        given = None if weights is None else _of_examples(weights)
        if self.placed is not None:
            examples = Examples(*self.placed, np.asarray(inputs), weights=given)
        else:
            ids = None
            if isinstance(inputs, Identified):
                inputs, ids = inputs.inputs, np.asarray(inputs.id)
            inputs = tf.convert_to_tensor(_one("x", inputs))
            examples = Examples(inputs, labels, np.arange(len(inputs)), ids, given)
        return examples, labels, None if given is None else tf.constant(given)


def _single(given):
    """What is in a list, tuple or dict, if that is a single thing; anything else as it is."""
    if not isinstance(given, (list, tuple, dict)) or len(given) != 1:
        return given
    return next(iter(given.values() if isinstance(given, dict) else given))


def _one(name, given):
    """The only array of what `fit` gives."""
    given = _single(given)
    if isinstance(given, (list, tuple, dict)):
        raise ValueError(
            f"{name} must be one array: a BlockModel has one input and one output. "
            f"Received: a {type(given).__name__} of {len(given)}"
        )
    return given


def _of_examples(weights):
    """Weights of the examples, shape (n,)."""
    weights = np.asarray(_one("sample_weight", weights), np.float32)
    if weights.size != len(weights):
        raise ValueError(f"sample_weight must be a number an example. {received(weights)}")
    return weights.reshape(-1)
