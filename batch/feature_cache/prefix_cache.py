"""What a frozen prefix computed, kept for each example: once frozen, it gives the same ever after.

An example is computed when a batch first needs it, by the blocks' own compiled functions, in chunks
of the size of a batch, and read from then on. When more blocks freeze, what is kept is carried
forward through them, again when a batch needs it, or left as it is while the steps compute the
rest (`batch.feature_cache.placement`).
"""

import functools
import logging
import time
import weakref

import numpy as np
import tensorflow as tf

from batch.feature_cache.identity import SlotError, Slots, count, counted_in
from batch.feature_cache.placement import Kept, Room, choose, count_visits
from batch.feature_cache.stores import STORES, Features, as_features, row_bytes, stored_as
from batch.flops import forward


class PrefixCache:
    """Features of examples after some leading frozen blocks.

    Parameters
    ----------
    blocks : list of Block
        Of a network, in forward order.
    preprocessing : Preprocessing
    storage : {'auto', 'memory', 'mapped', 'compressed', 'off'} or float
        Where features are kept: in memory, in a temporary file, in memory compressed by blosc, or
        not at all. A number is the bytes of memory they may take where that pays; if they would
        take more, they go to a file, where it is known how many there will be. 'auto' makes the
        number half of the memory that is free when blocks freeze. Where the file would take more
        than half of the free space, nothing is kept.

    Attributes
    ----------
    asked : int
        Examples that steps with a kept prefix had.
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
        number = isinstance(storage, (int, float)) and not isinstance(storage, bool)
        if storage not in ("auto", "off", *STORES) and not (number and storage >= 0):
            raise ValueError(
                f"cache must be auto, {', '.join(STORES)}, off, or bytes of memory, 0 or more. "
                f"Received: {storage!r}"
            )
        self._blocks = blocks
        self._preprocessing = preprocessing
        self._storage = storage
        self._scaled = tf.function(
            lambda images, rows: preprocessing.inference(tf.gather(images, rows)), autograph=False
        )
        self._forward = []  # of the blocks, as far as they were asked for
        self.asked = self.hits = self.peak_bytes = 0
        self._computed = self._avoided = 0  # multiply-adds
        self._computing = 0.0  # seconds
        self._source = None  # of the last step
        self.clear()

    def clear(self):
        """Forget all features, as after frozen weights were changed by hand."""
        self._depth = 0  # of the prefix last seen
        self._now = self._before = None  # features after now.depth blocks, and what becomes of them
        self._slots = Slots()
        self._chunk = 0  # examples that are computed at a time

    @property
    def seconds_saved(self):
        """What the hits would have taken to compute, at the speed of what was computed."""
        return self._avoided * self._computing / self._computed if self._computed else 0.0

    def told(self):
        """Its statistics as plain values; None if it was never asked."""
        if not self.asked:
            return None
        return {
            "asked": self.asked,
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
            Iterations until other blocks are frozen; infinite if nobody knows.

        Returns
        -------
        start : int
            Blocks whose work is done. 0 where nothing is kept: the features are the images.
        features : tensor, shape (N, …)
            As they are stored; `as_features` makes them what the next block takes.
        places : ndarray, shape (n,)
            Where in them the examples are.
        """
        depth = self._lasting(depth, examples)
        known = self._follows(examples)
        size = len(examples.rows)
        if depth < self._depth or not known or size > self._chunk > 0:
            self.clear()  # blocks learn again, or these are other examples, or too many at a time
        # In batches of another size, the last bits could be others.
        if depth and self._serves(examples, known) and size >= self._chunk:
            if depth > self._depth:
                self._enter(depth, examples, left)
            if self._now:
                return self._read(examples)
        return 0, examples.images, examples.rows

    def _follows(self, examples):
        """Whether examples are counted in what those of the last batch were; remembers it.

        Of the first images' rows, the others will come.
        """
        first = self._source is None and len(examples.rows) < len(examples.images)
        before = self._source and self._source()
        source = counted_in(examples)
        self._source = (lambda: None) if source is None else weakref.ref(source)
        return first or before is source

    def _lasting(self, depth, examples):
        """Leading blocks, of these, that give an example the same every time."""
        if depth and self._preprocessing.augments and self._storage != "off":
            self._give_up("augmentation makes other images of an example every time")
        if self._storage == "off":
            return 0
        outputs = tf.TensorSpec((1, *examples.images.shape[1:]), tf.float32)
        for number, block in enumerate(self._blocks[:depth]):
            if number == len(self._forward):
                self._forward.append(forward(block.layer, outputs))
            found = self._forward[number]
            outputs = found.outputs
            if block.varies or found.random or not outputs.shape.is_fully_defined():
                return number
        return depth

    def _serves(self, examples, known):
        """Whether what is computed for an example can serve for it again."""
        again = known or examples.ids is not None
        if not again and len(examples.rows) >= len(examples.images):
            _say("nothing tells which example is which; give rows of an array, or indices")
        return again

    def ahead(self, examples, depth, left):
        """What a step will begin with in the next stage.

        Parameters
        ----------
        batch, left
            As for `features`; the iterations are those of that stage.
        depth : int
            Leading blocks that will be frozen.

        Returns
        -------
        start : int
        features : tensor or TensorSpec
            Of the type and, but for the first axis, the shape that they will have.
        """
        depth = self._lasting(depth, examples)
        if not depth or not self._serves(examples, True):
            return 0, examples.images
        place, _ = self._choice(depth, examples, left)
        start = depth if place else (self._now.depth if self._now else 0)
        if not start:
            return 0, examples.images
        shape, dtype = stored_as(self._forward[start - 1].outputs)
        return start, tf.TensorSpec((None, *shape), dtype)

    def prepare(self, depth, examples):
        """Run the blocks once that features will come from."""
        features = self._scaled(examples.images, tf.constant(examples.rows)) if depth else None
        for block in self._blocks[:depth]:
            features = block.infer(features)

    def settle(self):
        """Wait until all features are written."""
        if self._now:
            self._now.settle()

    def _enter(self, depth, examples, left):
        """Decide what the steps begin with, now that so many blocks are frozen."""
        self._depth = depth
        place, carried = self._choice(depth, examples, left)
        if place:
            if self._now:
                self._now.leave()
            self._before = self._now if carried else None
            self._now = None  # makes room
            self._chunk = len(examples.rows)
            stored = stored_as(self._forward[depth - 1].outputs)
            try:
                self._now = Features(depth, place.store, place.rows, *stored)
            except OSError as error:
                self._give_up(error)
        elif self._storage in STORES:
            _say("there is no room for it")

    def _choice(self, depth, examples, left):
        """Where to keep features of so many blocks, if at all, and whether they are carried."""
        return choose(
            [one.cost for one in self._forward[:depth]],
            row_bytes(*stored_as(self._forward[depth - 1].outputs)),
            count_visits(left, len(examples.rows), count(examples)),
            self._kept(),
            Room(self._storage, count(examples), len(self._slots)),
            must=self._storage in STORES,
        )

    def _kept(self):
        """What is kept already, for `choose`."""
        now = self._now
        return Kept(now.depth, now.row_bytes, now.bytes, type(now.store)) if now else Kept()

    def _read(self, examples):
        """What `features` returns where features are kept; from now on none, without slots."""
        try:
            slots = self._slots.of(examples, len(self._now.there))
        except SlotError as reason:
            self._give_up(reason)
            return 0, examples.images, examples.rows
        return self._now.depth, *self._filled(slots, examples)

    def _give_up(self, reason):
        """Keep nothing from now on."""
        _say(str(reason))
        self._storage = "off"
        self.clear()

    def _filled(self, slots, examples):
        """Features of a batch and places in them, once those that are missing are computed."""
        fresh = ~self._now.there[slots]
        self.asked += len(slots)
        self.hits += len(slots) - np.count_nonzero(fresh)
        self._avoided += len(slots) * self._cost(0, self._now.depth)
        missing, first = np.unique(slots[fresh], return_index=True)
        rows = examples.rows[fresh][first]
        older = self._before.holds(missing) if self._before else np.zeros(len(missing), bool)
        made = []
        for begin, chosen in ((self._carry, older), (self._begin, ~older)):
            for at in range(0, np.count_nonzero(chosen), self._chunk):
                part = slice(at, at + self._chunk)
                features = self._compute(
                    begin, examples.images, rows[chosen][part], missing[chosen][part]
                )
                made.append(features)
        if self._before and not self._before.left(np.count_nonzero(older)):
            self._before = None
        kept = [one.bytes for one in (self._now, self._before) if one]
        self.peak_bytes = max(self.peak_bytes, sum(kept))
        if len(made) == 1 and fresh.all():  # no need to wait until it is written
            return made[0], np.searchsorted(missing, slots)
        return self._now.read(slots)

    def _begin(self, images, rows, slots):
        return 0, self._scaled(images, tf.constant(rows))

    def _carry(self, images, rows, slots):
        tensor, places = self._before.read(slots)
        return self._before.depth, as_features(tf.gather(tensor, places))

    def _compute(self, begin, images, rows, slots):
        """Features of a chunk, filled up by repeating an example, as they are stored."""
        started = time.perf_counter()
        fill = 0, self._chunk - len(slots)
        depth, features = begin(images, np.pad(rows, fill, "edge"), np.pad(slots, fill, "edge"))
        for block in self._blocks[depth : self._now.depth]:
            features = block.infer(features)
        if features.dtype == tf.bfloat16:
            features = tf.bitcast(features, tf.uint16)
        self._now.write(slots, features.numpy()[: len(slots)])
        cost = len(slots) * self._cost(depth, self._now.depth)
        self._computed += cost
        self._avoided -= cost
        self._computing += time.perf_counter() - started
        return features

    def _cost(self, first, last):
        return sum(one.cost for one in self._forward[first:last])


@functools.cache
def _say(reason):
    """Say once why nothing is kept."""
    logging.getLogger(__name__).warning("No cache of what frozen blocks compute: %s.", reason)
