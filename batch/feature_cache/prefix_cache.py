"""A cache of what frozen leading blocks compute, for each example: it does not change any more.

An example's features are computed when a batch first needs them, by the blocks' own compiled
functions, in chunks of the size of a batch. Later batches read them. When more blocks freeze, the
cached features are carried forward: the newly frozen blocks compute from them, again when a batch
needs it. Or they stay as they are, and every step computes the rest (`placement` decides which).
"""

import functools
import logging
import math
import time

import numpy as np
import tensorflow as tf

from batch.checks import as_number, received
from batch.feature_cache.identity import SlotError, Slots, Source, count_examples
from batch.feature_cache.placement import Budget, CacheState, choose, count_visits
from batch.feature_cache.stores import STORES, Features, as_features, row_bytes, stored_as
from batch.flops import forward


class PrefixCache:
    """Caches the features of examples after the leading frozen blocks.

    Parameters
    ----------
    blocks : list of Block
        Of a network, in forward order.
    preprocessing : Preprocessing
    storage : {'auto', 'memory', 'mapped', 'compressed', 'off'} or float
        Where features are kept: in memory, in a temporary file, in memory compressed by blosc, or
        not at all. A number is the bytes of memory that they may take, and they are kept only where
        that pays. If they would take more, they go to a file, provided that the number of examples
        is known. 'auto' makes the number half of the memory that is free when blocks freeze. Where
        the file would take more than half of the free disk space, nothing is kept.

    Attributes
    ----------
    requests : int
        Examples for which steps asked the cache, once it had a prefix.
    hits : int
        Those among them whose features were there.
    peak_bytes : int
        The most that features took.

    Raises
    ------
    ValueError
        If the storage is none of these.
    """

    def __init__(self, blocks, preprocessing, storage="auto"):
        size = as_number(storage)  # NaN if it is none
        named = isinstance(storage, str) and storage in ("auto", "off", *STORES)
        if not named and not 0 <= size < math.inf:
            raise ValueError(
                f"cache must be auto, {', '.join(STORES)}, off, or bytes of memory, 0 or more. "
                f"{received(storage)}"
            )
        self._blocks = blocks
        self._preprocessing = preprocessing
        self._storage = storage if named else size
        self._views = preprocessing.views or 1
        scaled = preprocessing.training if preprocessing.views else preprocessing.inference
        self._scaled = tf.function(
            lambda images, rows, *crops: scaled(tf.gather(images, rows), *crops), autograph=False
        )
        self._forward = []  # Forward of each block, as far as they were needed
        self.requests = self.hits = self.peak_bytes = 0
        self._computed = self._avoided = 0  # multiply-adds
        self._computing = 0.0  # seconds
        self._source = None  # Source of the last step
        self.clear()

    def clear(self):
        """Forget all features, as after frozen weights were changed by hand."""
        self._depth = 0  # frozen leading blocks in the last step
        self._current = None  # Features that steps read
        self._previous = None  # Features of fewer blocks, which are being carried forward
        self._slots = Slots(self._views)
        self._chunk = 0  # examples that are computed at a time

    @property
    def seconds_saved(self):
        """What the hits would have taken to compute, at the speed of what was computed."""
        return self._avoided * self._computing / self._computed if self._computed else 0.0

    def stats(self):
        """Its statistics as plain values; None if there were no requests."""
        if not self.requests:
            return None
        return {
            "asked": self.requests,  # the key's name in files
            "hits": int(self.hits),
            "bytes": int(self.peak_bytes),
            "seconds_saved": self.seconds_saved,
        }

    def features(self, examples, depth, left):
        """Features to begin a step with.

        Parameters
        ----------
        examples : Examples
        depth : int
            Leading blocks that are frozen.
        left : float
            Iterations until other blocks are frozen; infinite if that is not known.

        Returns
        -------
        start : int
            Blocks that need not be computed. 0 where nothing is cached: the features are the
            images.
        features : tensor, shape (N, …)
            As they are stored; `as_features` makes them what the next block takes.
        rows : ndarray, shape (n,)
            Positions of the examples in them.
        """
        depth = self._cacheable_depth(depth, examples)
        known = self._has_same_source(examples)
        size = len(examples.rows)
        if depth < self._depth or not known or size > self._chunk > 0:
            self.clear()  # blocks learn again, or these are other examples, or too many at a time
        # In batches of another size, the last bits could be others.
        if depth and self._can_identify(examples, known) and size >= self._chunk:
            if depth > self._depth:
                self._begin_stage(depth, examples, left)
            if self._current:
                return self._read(examples)
        return 0, examples.images, examples.rows

    def _has_same_source(self, examples):
        """Whether rows or ids of examples mean the same as in the last batch.

        Remembers the images of this batch. In the first batch, that is True if its rows are only
        some of its images, since then the other rows will follow.
        """
        before, self._source = self._source, Source(examples)
        if before is None:
            return len(examples.rows) < len(examples.images)
        return before.is_of(examples)

    def _cacheable_depth(self, depth, examples):
        """How many of these leading blocks give the same for an example every time."""
        varies = self._preprocessing.augments and not self._preprocessing.views
        if depth and varies and self._storage != "off":
            self._disable("augmentation makes other images of an example every time")
        if self._storage == "off":
            return 0
        outputs = tf.TensorSpec((1, *examples.images.shape[1:]), tf.float32)
        for number, block in enumerate(self._blocks[:depth]):
            if number == len(self._forward):
                self._forward.append(forward(block.layer, outputs))
            block_forward = self._forward[number]
            outputs = block_forward.outputs
            if block.adds_when_frozen:
                _warn(f"{block.layer.name} adds to the loss what depends on its input")
                return number
            known_shape = outputs.shape.is_fully_defined()
            if block.varies or block_forward.random or not known_shape:
                return number
        return depth

    def _can_identify(self, examples, known):
        """Whether these examples can be recognized in later batches."""
        again = known or examples.ids is not None
        if not again and len(examples.rows) >= len(examples.images):
            _warn("nothing tells which example is which; give rows of an array, or indices")
        return again

    def preview(self, examples, depth, left):
        """What steps of the next stage will begin with, for compiling them ahead.

        Parameters
        ----------
        examples, left
            As for `features`; the iterations are those of the next stage.
        depth : int
            Leading blocks that will be frozen.

        Returns
        -------
        start : int
        features : tensor or TensorSpec
            Of the type that they will have and, but for the first axis, of the shape.
        """
        depth = self._cacheable_depth(depth, examples)
        if not depth or not self._can_identify(examples, True):
            return 0, examples.images
        placement, _ = self._choose(depth, examples, left)
        current_depth = self._current.depth if self._current else 0
        start = depth if placement else current_depth
        if not start:
            return 0, examples.images
        shape, dtype = stored_as(self._forward[start - 1].outputs)
        return start, tf.TensorSpec((None, *shape), dtype)

    def prepare(self, depth, examples):
        """Run the blocks that features will come from once, so that they are compiled."""
        features = self._inputs(examples) if depth else None
        for block in self._blocks[:depth]:
            features = block.infer(features)

    def settle(self):
        """Wait until all features are written."""
        if self._current:
            self._current.settle()

    def _begin_stage(self, depth, examples, left):
        """Choose what the steps begin with, now that so many blocks are frozen."""
        self._depth = depth
        placement, carried = self._choose(depth, examples, left)
        if placement:
            if self._current:
                self._current.close()
            self._previous = self._current if carried else None
            self._current = None  # frees its memory, if nothing is carried
            self._chunk = len(examples.rows)
            shape, dtype = stored_as(self._forward[depth - 1].outputs)
            try:
                self._current = Features(
                    depth, placement.store, placement.rows, shape=shape, dtype=dtype
                )
            except OSError as error:
                self._disable(error)
        elif self._storage in STORES:
            _warn("there is no room for it")

    def _choose(self, depth, examples, left):
        """Where to keep features of so many blocks, if at all, and whether they are carried."""
        total = count_examples(examples)
        slots = total and total * self._views
        return choose(
            [block_forward.cost for block_forward in self._forward[:depth]],
            row_bytes(*stored_as(self._forward[depth - 1].outputs)),
            count_visits(left, len(examples.rows), total) / self._views,
            state=self._state(),
            find_placement=Budget(self._storage, slots, len(self._slots)).placement,
            must=self._storage in STORES,
        )

    def _state(self):
        """What is cached already."""
        held = self._current
        if not held:
            return CacheState()
        return CacheState(held.depth, held.row_bytes, bytes=held.bytes, store=type(held.store))

    def _read(self, examples):
        """What `features` returns where features are kept."""
        try:
            slots = self._slots.assign(examples, len(self._current.present))
        except SlotError as reason:
            self._disable(reason)
            return 0, examples.images, examples.rows
        return self._current.depth, *self._read_slots(slots, examples)

    def _disable(self, reason):
        """Keep nothing from now on."""
        _warn(str(reason))
        self._storage = "off"
        self.clear()

    def _read_slots(self, slots, examples):
        """Features of a batch, and the rows of its examples in them; computes missing ones."""
        fresh = ~self._current.present[slots]
        self.requests += len(slots)
        self.hits += len(slots) - np.count_nonzero(fresh)
        self._avoided += len(slots) * self._cost(0, self._current.depth)
        missing, first = np.unique(slots[fresh], return_index=True)
        made = self._compute_missing(missing, examples, np.flatnonzero(fresh)[first])
        if len(made) == 1 and fresh.all():  # no need to wait until it is written
            return made[0], np.searchsorted(missing, slots)
        return self._current.read(slots)

    def _compute_missing(self, slots, examples, picked):
        """Compute and store features of examples, from the previous ones where there are some.

        Parameters
        ----------
        slots, picked : ndarray, shape (n,)
            Of these examples, and their positions in the batch.
        examples : Examples
            The batch.

        Returns
        -------
        list of tensor
            The features chunk by chunk.
        """
        carried = self._previous.holds(slots) if self._previous else np.zeros(len(slots), bool)
        made = []
        for begin, chosen in ((self._from_previous, carried), (self._from_images, ~carried)):
            for at in range(0, np.count_nonzero(chosen), self._chunk):
                places, part = picked[chosen], slice(at, at + self._chunk)
                made.append(
                    self._compute(begin, examples, picked=places[part], slots=slots[chosen][part])
                )
        if self._previous and not self._previous.count_carried(np.count_nonzero(carried)):
            self._previous = None
        held = [features.bytes for features in (self._current, self._previous) if features]
        self.peak_bytes = max(self.peak_bytes, sum(held))
        return made

    def _from_images(self, examples, picked, slots):
        return 0, self._inputs(examples, picked)

    def _inputs(self, examples, picked=slice(None)):
        """What the first block takes of these positions in a batch."""
        crops = () if examples.crops is None else (tf.constant(examples.crops[picked]),)
        return self._scaled(examples.images, tf.constant(examples.rows[picked]), *crops)

    def _from_previous(self, examples, picked, slots):
        tensor, positions = self._previous.read(slots)
        return self._previous.depth, as_features(tf.gather(tensor, positions))

    def _compute(self, begin, examples, *, picked, slots):
        """Compute and store the features of a chunk, filled up by repeating its last example."""
        started = time.perf_counter()
        fill = 0, self._chunk - len(slots)
        padded = (np.pad(places, fill, "edge") for places in (picked, slots))
        depth, features = begin(examples, *padded)
        for block in self._blocks[depth : self._current.depth]:
            features = block.infer(features)
        if features.dtype == tf.bfloat16:
            features = tf.bitcast(features, tf.uint16)
        self._current.write(slots, features.numpy()[: len(slots)])
        cost = len(slots) * self._cost(depth, self._current.depth)
        self._computed += cost
        self._avoided -= cost
        self._computing += time.perf_counter() - started
        return features

    def _cost(self, first, last):
        return sum(block_forward.cost for block_forward in self._forward[first:last])


@functools.cache
def _warn(reason):
    """Log once why nothing is cached."""
    logging.getLogger(__name__).warning("No cache of what frozen blocks compute: %s.", reason)
