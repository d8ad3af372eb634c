"""Leading frozen blocks by themselves: what can be cached of them, what they cost and give."""

import functools
import logging
import threading

import numpy as np
import tensorflow as tf

from batch.feature_cache.places import leaves_rest, same_everywhere
from batch.feature_cache.stores import as_features, as_stored, stored_as
from batch.flops import forward, forward_of


class Prefix:
    """The leading blocks of a network, in inference mode.

    Parameters
    ----------
    blocks : list of Block
        In forward order.
    preprocessing : Preprocessing
    part : int, optional
        Examples that go through the blocks at a time, as in steps with microbatches; all by
        default.
    """

    def __init__(self, blocks, preprocessing, part=None):
        self._blocks = blocks
        self._preprocessing = preprocessing
        self._part = part
        self._forward = []  # Forward of each block, as far as they were needed
        self._ends = False  # whether the last of these is the first that is not the same every time
        # By sizes of batches: how many blocks whose bits depend on no place, what they give for an
        # example, and whether the next one's do.
        self._placeless = {}
        self._compiled = {}
        self._compiling = threading.Lock()

    def cacheable(self, depth, images, size=None):
        """How many of these leading blocks give the same for an example every time.

        Parameters
        ----------
        depth : int
        images : tensor, shape (N, …)
        size : int, optional
            Examples of a batch, in whose places blocks must give the same to the last bit; by
            default the last bits may differ.
        """
        depth = self._repeatable(depth, images)
        if size is None or not depth:
            return depth
        placeless = self._count_placeless(depth, images, size)
        if placeless < depth:
            warn(
                "here its last bits depend on an image's place in the batch; cache='memory' keeps "
                "it all the same"
            )
        return placeless

    def _repeatable(self, depth, images):
        """The same by default; every step asks, so each block is looked at only once."""
        inputs = tf.TensorSpec((1, *images.shape[1:]), tf.float32)
        while len(self._forward) < depth and not self._ends:
            block = self._blocks[len(self._forward)]
            inputs = self._forward[-1].outputs if self._forward else inputs
            known = forward_of(block.frozen.graph) or forward(block.layer, inputs)
            self._forward.append(known)
            added = block.frozen.structured_outputs[1]
            if added:
                warn(f"{block.layer.name} adds to the loss what depends on its input")
            known_shape = known.outputs.shape.is_fully_defined()
            self._ends = bool(added or block.varies or known.random or not known_shape)
        return min(depth, len(self._forward) - self._ends)

    def _count_placeless(self, depth, images, size):
        """How many of these leading blocks give the same bits in any place of a batch.

        It is tried with an image as it is: a crop of it, too, is the same in any place.
        """
        if size not in self._placeless:
            self._placeless[size] = 0, _example(images), False
        count, features, blocked = self._placeless[size]
        if count < depth and not blocked:
            count, features = self._placeless_from(count, depth, features, size)
            self._placeless[size] = count, features, count < depth
        return min(count, depth)

    def _placeless_from(self, count, depth, features, size):
        """Blocks that were found to be so, beyond `count`, and the features that they give.

        All are tried at once and, if they fail, one by one.
        """
        for end in (depth, *range(count + 1, depth)):
            if self._are_placeless(count, end, features, size):
                features = self._repeated(count, end, features, 1)
                count = end
                if count == depth:
                    break
            elif end < depth:
                break
        return count, features

    def _are_placeless(self, start, end, features, size):
        part = min(self._part or size, size)
        sizes = size, part, size % part or part
        graphs = [block.frozen.graph for block in self._blocks[start:end]]
        if any(leaves_rest(graph, some) for graph in graphs for some in sizes[1:]):
            return False
        return same_everywhere(
            lambda: self._repeated(start, end, features, size), graphs, features, sizes
        )

    def _repeated(self, start, end, features, count):
        """What blocks give for so many times the first of some features."""
        crops = np.zeros((count, 3), np.int32) if self._preprocessing.views else None
        return self.compute(start, end, features, np.zeros(count, np.int64), crops)

    def cost(self, first, last):
        """Multiply-adds of some blocks, forward, for one example."""
        return sum(self.costs(last)[first:])

    def costs(self, depth):
        """Multiply-adds of each of these blocks."""
        return [block_forward.cost for block_forward in self._forward[:depth]]

    def stored_as(self, depth):
        """How features after so many blocks are stored: shape of one example, and NumPy type."""
        return stored_as(self._forward[depth - 1].outputs)

    def compute(self, start, depth, features, rows, crops=None):
        """Features as they are stored, of some examples: computed together, in their order.

        Parameters
        ----------
        start, depth : int
            Blocks that need not be computed, and those that were computed then.
        features : tensor, shape (N, …)
            Images, or after `start` blocks features as they are stored.
        rows : ndarray, shape (n,)
            Positions of the examples in them.
        crops : ndarray, shape (n, 3), optional
            Of the views of the examples, which images are cropped to; features have been already.
        """
        blocks = self._function(start, depth, features)
        chosen = (rows,) if start or crops is None else (rows, crops)
        part = self._part or len(rows)
        made = [
            blocks(features, *(tf.constant(each[at : at + part]) for each in chosen))
            for at in range(0, len(rows), part)
        ]
        return made[0] if len(made) == 1 else tf.concat(made, 0)

    def _function(self, start, depth, features):
        """The blocks from `start` to `depth`, compiled once for all batches."""
        views = self._preprocessing.views
        scaled = self._preprocessing.training if views else self._preprocessing.inference

        def blocks(features, rows, *crops):
            features = tf.gather(features, rows)
            features = as_features(features) if start else scaled(features, *crops)
            for block in self._blocks[start:depth]:
                features = block.infer(features)
            return as_stored(features)

        key = start, depth, features.dtype
        with self._compiling:
            if key not in self._compiled:
                stored = tf.TensorSpec((None, *features.shape[1:]), features.dtype)
                crops = [self._preprocessing.drawn_from] if views and not start else []
                self._compiled[key] = tf.function(blocks, autograph=False).get_concrete_function(
                    stored, tf.TensorSpec((None,), tf.int64), *crops
                )
        return self._compiled[key]


def _example(images):
    """One random image, or some first words, of the type of these images."""
    most = 255 if images.dtype == tf.uint8 else 1
    values = np.random.default_rng(0).random((1, *images.shape[1:])) * most
    return tf.cast(values, images.dtype)


@functools.cache
def warn(reason):
    """Log once why nothing is cached."""
    logging.getLogger(__name__).warning("No cache of what frozen blocks compute: %s.", reason)
