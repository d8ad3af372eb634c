"""A data set, `Data`, and the checks of arrays that are to become one."""

import dataclasses

import numpy as np

from batch.checks import optional, positive_whole, text
from batch.data.labels import class_numbers, count_classes, named
from batch.data.mapped import all_of, copied
from batch.data.resize import resized
from batch.data.scales import Pixels, refuse_channels_first, to_uint8, white_of
from batch.nested import countable

KINDS = ("train", "test")


class DataError(ValueError):
    """Data that cannot be loaded, or that are not as they should be."""


@dataclasses.dataclass(frozen=True)
class Split:
    """Images `(N, H, W, C)`, `uint8`, perhaps in a mapped file, and labels `(N,)`, `int64`."""

    images: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set: its name, its number of classes, and the splits `train` and `test`.

    `given` says what the pixels were before they became `uint8`, if they were anything else.
    `names` are those of the classes, where they have some.
    """

    name: str
    classes: int
    train: Split
    test: Split
    given: str = ""
    names: tuple = ()

    @classmethod
    def of(cls, train_images, train_labels, test_images, test_labels, *, name="own", classes=None):
        """Data from arrays of one's own.

        Parameters
        ----------
        train_images, test_images : array_like, shape (N, H, W) or (N, H, W, C)
            Whole numbers from 0 to 255, or these divided by 255, as booleans are: 0 and 1.
        train_labels, test_labels : array_like, shape (N,), (N, 1) or (N, classes)
            Whole numbers from 0, or one-hot rows.
        name : str
        classes : int, optional
            Number of classes, if some may have no example; those of the labels by default.

        Raises
        ------
        DataError
            If they are of another shape or type, do not fit each other, or are almost surely not
            what they should be: channels first, the splits on two scales, classes counted from 1.
        """
        name, classes = text("name", name), optional(positive_whole, "classes", classes)
        pairs = (train_images, train_labels), (test_images, test_labels)
        given = [_split(kind, *pair, classes) for kind, pair in zip(KINDS, pairs)]
        shapes = [split.images.shape[1:] for split in given]
        if shapes[0] != shapes[1]:
            raise DataError(f"train images are {shapes[0]}, test {shapes[1]}")
        classes = classes or _count_classes(train_labels, test_labels)
        splits = _on_one_scale(given)
        images = given[0].images
        known = images.dtype == np.uint8
        data = cls(name, classes, *splits, given="" if known else str(Pixels.of(images)))
        check_covered(data)
        return data

    def with_train_images(self, count):
        """The data with a part of the training split: always the same, every class in proportion.

        Parameters
        ----------
        count : int
            Images of the part. Classes share them by largest remainder; the order is kept.

        Raises
        ------
        DataError
            If there are fewer, or if a class would get none.
        """
        return dataclasses.replace(self, train=self._part("train", "training", count))

    def with_test_images(self, count):
        """The same, of the test split."""
        return dataclasses.replace(self, test=self._part("test", "test", count))

    def with_image_size(self, side):
        """The data with square images of so many pixels a side, as from `resized`."""
        splits = {
            kind: dataclasses.replace(split, images=resized(split.images, side))
            for kind in KINDS
            for split in [getattr(self, kind)]
        }
        return dataclasses.replace(self, **splits)

    def _part(self, kind, called, count):
        """A part of a split, its classes in proportion."""
        split, count = getattr(self, kind), positive_whole(f"{kind}_images", count)
        labels = split.labels
        if count > len(labels):
            raise DataError(
                f"{kind}_images must be at most the {len(labels):,} of the {called} split of "
                f"{self.name}. Received: {count}"
            )
        present, sizes = np.unique(labels, return_counts=True)
        shares = _in_proportion(sizes, count)
        if not shares.all():
            raise DataError(
                f"{kind}_images must leave an example of each class, as "
                f"{-(-len(labels) // sizes.min()):,} do. Received: {count}, which leave none of "
                f"{named(present[shares == 0])}"
            )
        order = np.random.RandomState(0).permutation(len(labels))
        chosen = [order[labels[order] == label][:share] for label, share in zip(present, shares)]
        rows = np.sort(np.concatenate(chosen))
        return Split(copied(split.images, rows), labels[rows])

    def summary(self):
        """What was understood of the data, in a line: shape, range, classes, examples of each."""
        images = self.train.images
        height, width, channels = images.shape[1:]
        pixels = f"{Pixels.of(images)} (divided by 255)"
        if self.given:
            pixels = f"{self.given}, kept as {pixels}"
        counts = np.bincount(self.train.labels, minlength=self.classes)
        least, most = (f"{value:,}" for value in (counts[counts > 0].min(), counts.max()))
        return (
            f"{self.name}: {len(images):,} + {len(self.test.labels):,} images of "
            f"{height}×{width}×{channels}, {pixels}, {self.classes} classes of {least} "
            + ("examples each" if least == most else f"to {most} examples")
            + self._missing()
        )

    def _missing(self):
        """Classes without a single example, in words."""
        every = np.arange(self.classes)
        in_none = np.setdiff1d(every, self.train.labels)
        in_train = np.setdiff1d(np.setdiff1d(every, self.test.labels), in_none)
        said = f"; no example of {named(in_none)}" if len(in_none) else ""
        return said + (f"; none of {named(in_train)} to test on" if len(in_train) else "")


def _in_proportion(sizes, count):
    """Shares of `count` in proportion to some sizes, in whole numbers, by largest remainder."""
    shares, remainders = np.divmod(sizes * count, sizes.sum())
    largest = np.argsort(-remainders, kind="stable")[: count - shares.sum()]
    shares[largest] += 1
    return shares


def _split(kind, images, labels, classes):
    """A checked split; its images are on the scale on which they were given."""
    try:
        images, labels = _array("images", images), _array("labels", labels)
        _check_images(images)
        split = Split(images.reshape(*images.shape[:3], -1), class_numbers(labels, classes))
        if len(images) != len(labels):
            last = images.shape[-1] == len(labels)
            raise ValueError(
                "images and labels must be of one length. "
                f"Received: {len(images)} images, but {len(labels)} labels"
                + (
                    ", as many as the last axis has: give np.moveaxis(images, -1, 0)"
                    if last
                    else ""
                )
            )
    except ValueError as error:
        raise DataError(f"{kind} split: {error}") from error
    return split


def _array(name, values):
    countable(name, values)
    try:
        return np.asarray(values)
    except (ValueError, TypeError):
        kind = type(values).__name__
        raise ValueError(f"{name} must be an array, all of one shape. Received: {kind}") from None


def _check_images(images):
    if images.ndim not in (3, 4) or images.size == 0:
        raise ValueError(f"images must be (N, H, W) or (N, H, W, C). Received: {images.shape}")
    if images.dtype.kind not in "biuf":
        raise ValueError(f"pixels must be numbers. Received: {images.dtype}")
    if images.dtype.kind == "f" and not all_of(images, np.isfinite):
        raise ValueError(f"pixels must be finite. Received: {images.dtype} with NaN or infinity")
    refuse_channels_first(images.shape[1:])


def _count_classes(*labels):
    try:
        classes = count_classes(*labels)
    except ValueError as error:
        raise DataError(str(error)) from error
    if classes < 2:
        raise DataError(f"expected at least 2 classes, found {classes}")
    return classes


def _on_one_scale(splits):
    """The splits with `uint8` images, if both have the same scale."""
    whites, made = [], []
    for kind, split in zip(KINDS, splits):
        try:
            whites.append(white_of(split.images))
            made.append(Split(to_uint8(split.images, whites[-1]), split.labels))
        except ValueError as error:
            raise DataError(f"{kind} split: {error}") from error
    if {1, 255} <= {*whites}:
        received = (f"{kind} {Pixels.of(split.images)}" for kind, split in zip(KINDS, splits))
        raise DataError(
            "train and test images must have one scale, 0 to 255 or 0 to 1: give the latter as "
            f"(images * 255).round().astype('uint8'). Received: {', '.join(received)}"
        )
    return made


def check_covered(data):
    """Refuse data whose test split has classes of which the train split has no example.

    Raises
    ------
    DataError
        If there are some.
    """
    unknown = np.setdiff1d(data.test.labels, data.train.labels)
    if len(unknown):
        count = np.isin(data.test.labels, unknown).sum()
        raise DataError(
            f"train split: no example of {named(unknown)}, of which the test split has {count}: "
            "shuffle before you split, or keep np.isin(test_labels, train_labels)"
        )
