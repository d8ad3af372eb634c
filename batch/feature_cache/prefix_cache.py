"""A cache of what frozen leading blocks compute, for each example: it does not change any more.

A batch of which some features are missing is computed whole, in its own order, as a step without a
cache does it, and what was missing is stored. Batches that are all there are read. When more blocks
freeze, the cached features are carried forward: the newly frozen blocks compute from them. Or they
stay as they are, and every step computes the rest (`placement` decides which). Where examples have
views (`batch.training.views`), features are kept of each view.
"""

import math
import time

import numpy as np
import tensorflow as tf

from batch.checks import as_number, received
from batch.feature_cache.identity import SlotError, Slots, Source, count_examples
from batch.feature_cache.placement import (
    Budget,
    CacheState,
    choose,
    count_visits,
    memory_for_features,
)
from batch.feature_cache.prefix import Prefix, warn
from batch.feature_cache.stores import STORES, Features, row_bytes


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
        that pays, and only of blocks whose last bits do not depend on an image's place in its
        batch. If they would take more, they go to a file, provided that the number of examples is
        known. 'auto' makes the number half of the memory that is free now. Where the file would
        take more than half of the free disk space, nothing is kept.
    part : int, optional
        As for `Prefix`.

    Attributes
    ----------
    storage : str or float
        As it was given, but for 'auto': the number of bytes that this has become.
    requests : int
        Examples for which steps asked the cache, once it had a prefix.
    hits : int
        Those among them whose features were there. They are computed again in a batch that has
        others.
    computed : int
        Examples that were computed.
    peak_bytes : int
        The most that features took.

    Raises
    ------
    ValueError
        If the storage is none of these.
    """

    def __init__(self, blocks, preprocessing, storage="auto", part=None):
        self.storage = checked_storage(storage)
        named = isinstance(self.storage, str)
        self._memory = memory_for_features() if named else self.storage
        if self.storage == "auto":
            self.storage = self._memory
        self._kind = self.storage if self.storage in STORES else None  # what was asked for
        self._on = storage != "off"
        self._preprocessing = preprocessing
        self._views = preprocessing.views or 1
        self._prefix = Prefix(blocks, preprocessing, part)
        self.requests = self.hits = self.computed = self.peak_bytes = 0
        self._made = self._avoided = 0  # multiply-adds
        self._computing = 0.0  # seconds
        self._source = None  # Source of the last step
        self.clear()

    def clear(self):
        """Forget all features, as after frozen weights were changed by hand."""
        self._depth = 0  # frozen leading blocks in the last step
        self._current = None  # Features that steps read
        self._previous = None  # Features of fewer blocks, which are being carried forward
        self._slots = Slots(self._views)
        self._size = 0  # examples of a batch that is computed

    @property
    def seconds_saved(self):
        """What was read would have taken to compute, at the speed of what was computed."""
        return self._avoided * self._computing / self._made if self._made else 0.0

    def stats(self):
        """Its statistics as plain values; None if there were no requests."""
        if not self.requests:
            return None
        return {
            "asked": self.requests,  # the key's name in files
            "hits": int(self.hits),
            "computed": self.computed,
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
        if depth < self._depth or not known or size > self._size > 0:
            self.clear()  # blocks learn again, or these are other examples, or too many at a time
        # In batches of another size, the last bits could be others.
        if depth and self._can_identify(examples, known) and size >= self._size:
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
        if depth and varies and self._on:
            self._disable("augmentation makes other images of an example every time")
        if not self._on:
            return 0
        # The user knows; or else batches are read that are as large as those that were computed.
        size = None if self._kind else max(self._size, len(examples.rows))
        return self._prefix.cacheable(depth, examples.images, size)

    def _can_identify(self, examples, known):
        """Whether these examples can be recognized in later batches."""
        again = known or examples.ids is not None
        if not again and len(examples.rows) >= len(examples.images):
            warn("nothing tells which example is which; give rows of an array, or indices")
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
        shape, dtype = self._prefix.stored_as(start)
        return start, tf.TensorSpec((None, *shape), dtype)

    def prepare(self, depth, examples):
        """Run the blocks that features will come from once, so that they are compiled."""
        start, (shape, dtype) = 0, (examples.images.shape[1:], examples.images.dtype)
        if self._current:
            start = self._current.depth
            shape, dtype = self._prefix.stored_as(start)
        if start < depth:
            crops = None if examples.crops is None else np.repeat(examples.crops[:1], 2, axis=0)
            trial = tf.zeros((2, *shape), dtype)
            self._prefix.compute(start, depth, trial, np.arange(2), crops)

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
            self._size = len(examples.rows)
            shape, dtype = self._prefix.stored_as(depth)
            try:
                self._current = Features(
                    depth, placement.store, placement.rows, shape=shape, dtype=dtype
                )
            except OSError as error:
                self._disable(error)
        elif self._kind:
            warn("there is no room for it")

    def _choose(self, depth, examples, left):
        """Where to keep features of so many blocks, if at all, and whether they are carried."""
        total = count_examples(examples)
        slots = total and total * self._views
        return choose(
            self._prefix.costs(depth),
            row_bytes(*self._prefix.stored_as(depth)),
            count_visits(left, len(examples.rows), total) / self._views,
            state=self._state(),
            find_placement=Budget(self._kind, self._memory, slots, len(self._slots)).placement,
            must=self._kind is not None,
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
        warn(str(reason))
        self._on = False
        self.clear()

    def _read_slots(self, slots, examples):
        """Features of a batch, and the rows of its examples in them."""
        self.requests += len(slots)
        self._avoided += len(slots) * self._prefix.cost(0, self._current.depth)
        there = self._current.holds(slots)
        self.hits += np.count_nonzero(there)
        if not there.all():
            return self._compute(slots, examples), np.arange(len(slots))
        features = self._current.read(slots)
        self._note_bytes()
        return features

    def _compute(self, slots, examples):
        """Features of a batch, all computed, from the previous ones if they are all there.

        Those that were missing are stored.
        """
        started = time.perf_counter()
        start, features, rows = 0, examples.images, examples.rows
        if self._previous and self._previous.holds(slots).all():
            start = self._previous.depth
            features, rows = self._previous.read(slots)
        depth = self._current.depth
        made = self._prefix.compute(start, depth, features, rows, examples.crops)
        missing, first = np.unique(slots, return_index=True)
        fresh = ~self._current.holds(missing)
        self._current.write(missing[fresh], made, first[fresh])
        self._note_bytes()
        if self._previous:
            carried = np.count_nonzero(self._previous.holds(missing[fresh]))
            if not self._previous.count_carried(carried):
                self._previous = None
        cost = len(slots) * self._prefix.cost(start, depth)
        self.computed += len(slots)
        self._made += cost
        self._avoided -= cost
        self._computing += time.perf_counter() - started
        return made

    def _note_bytes(self):
        held = [features.bytes for features in (self._current, self._previous) if features]
        self.peak_bytes = max(self.peak_bytes, sum(held))


def checked_storage(storage):
    """The storage of a `PrefixCache`: 'auto', 'off', one of `STORES`, or a number of bytes.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(storage, str) and storage in ("auto", "off", *STORES):
        return storage
    size = as_number(storage)  # NaN if it is none
    if not 0 <= size < math.inf:
        raise ValueError(
            f"cache must be auto, {', '.join(STORES)}, off, or bytes of memory, 0 or more. "
            f"{received(storage)}"
        )
    return size
