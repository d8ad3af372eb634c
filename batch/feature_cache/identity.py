"""Which example is which: each gets a slot, by its id or its row, when it is first seen."""

import zlib

import numpy as np
import tensorflow as tf


class SlotError(Exception):
    """Examples have no slots; the message says why."""


class Slots:
    """Slots of examples, and checksums of the images of those that have ids."""

    def __init__(self):
        self._slots = {}
        self._checksums = {}

    def __len__(self):
        return len(self._slots)

    def of(self, examples, limit):
        """The slot of each example.

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
            If there are more examples, or if the same ids come with other images.
        """
        ids = examples.rows if examples.ids is None else examples.ids
        slots = [self._slots.setdefault(own, len(self._slots)) for own in ids.tolist()]
        if max(slots) >= limit:
            raise SlotError("there are more examples than there is room for")
        if examples.ids is not None:
            self._check(slots, tf.gather(examples.images, examples.rows).numpy())
        return np.array(slots)

    def _check(self, slots, images):
        for slot, image in zip(slots, images):
            checksum = zlib.crc32(image)
            if self._checksums.setdefault(slot, checksum) != checksum:
                raise SlotError("the images of an example differ from one step to the next")


def counted_in(examples):
    """What the rows of examples are positions in: their images, or None if they have ids."""
    return examples.images if examples.ids is None else None


def count(examples):
    """How many examples there are in all; None if they have ids, for then nothing tells."""
    return len(examples.images) if examples.ids is None else None
