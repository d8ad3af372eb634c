"""Evaluating the examples of arrays after each epoch: what frozen blocks compute is kept."""

import tensorflow as tf

from batch.data.examples import Examples
from batch.feature_cache.prefix_cache import PrefixCache
from batch.feature_cache.stores import as_features


class Validation:
    """A network in inference mode, on rows of arrays.

    Parameters
    ----------
    trainer : Trainer
        Of the network. What it may keep of its own examples, this may keep half as much.
    images, labels : tensor

    Attributes
    ----------
    cache : PrefixCache
    """

    def __init__(self, trainer, images, labels):
        self._trainer, self._arrays = trainer, (images, labels)
        storage = trainer.cache.storage
        half = storage if isinstance(storage, str) else storage / 2
        self.cache = PrefixCache(trainer.steps.blocks, trainer.preprocessing, half)
        self._before, self._steps = 0, 1  # iterations of training before an evaluation, between two
        self._compiled = {}

    def is_of(self, *arrays):
        """Whether it evaluates these."""
        return all(own is given for own, given in zip(self._arrays, arrays))

    def begin(self):
        """An evaluation begins."""
        iteration = self._trainer.iteration
        self._before, self._steps = iteration, max(iteration - self._before, 1)

    def __call__(self, rows, weights=None):
        """Loss and logits of a batch.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
        weights : tensor, shape (n,), optional
        """
        trainer, examples = self._trainer, Examples(*self._arrays, rows)
        steps = trainer.plan.stage_end(trainer.iteration) - trainer.iteration
        left = steps / self._steps * len(examples.images) / len(rows)
        start, features, places = self.cache.features(examples, trainer.frozen, left)
        given = [tf.gather(features, places), tf.gather(self._arrays[1], rows)]
        given += [] if weights is None else [tf.convert_to_tensor(weights)]
        return self._function(start, given)(*given)

    def _function(self, start, given):
        """What evaluates from the features after so many blocks, compiled for such tensors."""
        specs = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in given]
        key = start, *specs
        if key not in self._compiled:
            objective, blocks = self._trainer.steps.objective, self._trainer.steps.blocks
            prepare = as_features if start else self._trainer.preprocessing.inference

            def evaluate(features, labels, weights=None):
                features, added = prepare(features), []
                for block in blocks[start:]:
                    features, more = block.forward(features, 0.0, False)
                    added += more
                logits = tf.cast(features, tf.float32)
                for block in blocks:
                    added += block.weight_penalty(0.0, False)
                losses = [objective(labels, logits, weights), *added]
                return tf.add_n(losses), logits

            traced = tf.function(evaluate, autograph=False)
            self._compiled[key] = traced.get_concrete_function(*specs)
        return self._compiled[key]
