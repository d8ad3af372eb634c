"""Which example is which: each one gets a slot of the cache when it is first seen."""

import weakref
import zlib

import numpy as np
import tensorflow as tf


class SlotError(Exception):
    """Examples have no slots; the message says why."""


class Slots:
    """Slots of examples by their ids or rows, and checksums of the images that have ids.

    Parameters
    ----------
    views : int
        How many fixed versions of each example there are; each one has a slot.
    """

    def __init__(self, views=1):
        self._views = views
        self._slots = {}
        self._checksums = {}

    def __len__(self):
        return self._views * len(self._slots)

    def assign(self, examples, limit):
        """The slot of each example; an example that was never seen gets the next free one.

        Parameters
        ----------
        examples : Examples
        limit : int
            How many slots there are.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        SlotError
            If there are more examples than slots, or if an id comes with another image than before.
        """
        ids = examples.rows if examples.ids is None else examples.ids
        slots = [self._slots.setdefault(key, len(self._slots)) for key in ids.tolist()]
        if self._views * (max(slots) + 1) > limit:
            raise SlotError("there are more examples than there is room for")
        if examples.ids is not None:
            self._check(slots, tf.gather(examples.images, examples.rows).numpy())
        return self._views * np.array(slots) + (0 if examples.views is None else examples.views)

    def _check(self, slots, images):
        for slot, image in zip(slots, images):
            checksum = zlib.crc32(image)
            if self._checksums.setdefault(slot, checksum) != checksum:
                raise SlotError("the images of an example differ from one step to the next")


class Source:
    """What tells the examples of a batch apart: rows of its images, which are remembered, or ids.

    Parameters
    ----------
    examples : Examples
    """

    def __init__(self, examples):
        self._by_ids = examples.ids is not None
        self._images = weakref.ref(examples.images)  # dead or alive, it equals no other images

    def is_of(self, examples):
        """Whether the same row or id stands for the same example here as in that batch."""
        if self._by_ids or examples.ids is not None:
            return self._by_ids and examples.ids is not None
        return self._images() is examples.images


def count_examples(examples):
    """How many examples there are in all; None if they have ids, since ids do not say."""
    return len(examples.images) if examples.ids is None else None
