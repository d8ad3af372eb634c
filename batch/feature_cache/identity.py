"""Which example is which: each gets a slot, by its number or its row, when it is first seen."""

import dataclasses
import zlib

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Batch:
    """Examples of a step.

    Attributes
    ----------
    images : tensor, shape (N, H, W, C)
    rows : ndarray, shape (n,), int64
        Which of them are meant.
    numbers : ndarray, shape (n,), optional
        What tells each of these examples from all others. Without them, their rows do as long as
        the very same images come again.
    """

    images: tf.Tensor
    rows: np.ndarray
    numbers: np.ndarray | None = None

    @property
    def source(self):
        """What examples are counted in: these images, or None if they have numbers."""
        return self.images if self.numbers is None else None

    @property
    def examples(self):
        """How many examples there are in all, or None."""
        return len(self.images) if self.numbers is None else None


class SlotError(Exception):
    """Examples have no slots; the message says why."""


class Slots:
    """Slots of examples, and checksums of the images of those that have numbers."""

    def __init__(self):
        self._slots = {}
        self._checksums = {}

    def __len__(self):
        return len(self._slots)

    def of(self, batch, room):
        """The slot of each example of a batch.

        Parameters
        ----------
        batch : Batch
        room : int
            How many slots there are.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        SlotError
            If there are more examples, or if the same numbers come with other images.
        """
        numbers = batch.rows if batch.numbers is None else batch.numbers
        found = [self._slots.setdefault(number, len(self._slots)) for number in numbers.tolist()]
        if max(found) >= room:
            raise SlotError("there are more examples than there is room for")
        if batch.numbers is not None:
            self._check(found, tf.gather(batch.images, batch.rows).numpy())
        return np.array(found)

    def _check(self, slots, images):
        for slot, image in zip(slots, images):
            checksum = zlib.crc32(image)
            if self._checksums.setdefault(slot, checksum) != checksum:
                raise SlotError("the images of an example differ from one step to the next")
