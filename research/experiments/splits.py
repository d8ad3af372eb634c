"""The data of a run: loaded, and cut to the images and the size that are asked for."""

import dataclasses
import importlib
import os

from batch.data.data import NAMES, load_data
from batch.data.dataset import Split, check_covered
from batch.data.mapped import mapping_of

HELD_OUT = 5000  # training images that validation takes


def load(source, **options):
    """What `load_data` gives."""
    if source in NAMES and source != "digits":
        importlib.import_module("batch")  # starts TensorFlow, which keras.datasets needs, quietly
    return load_data(source, **options)


def prepared(options):
    """The data that the options of a command name."""
    # Of a folder, images come to their size as they are read; others, when they are chosen.
    side = options.image_size if os.path.isdir(options.data) else None
    data = load(options.data, image_size=side, skip_broken=options.skip_broken)
    if getattr(options, "validate", "test") == "val":
        data = hold_out(data)
    if options.train_images:
        data = data.with_train_images(options.train_images)
    if options.test_images:
        data = data.with_test_images(options.test_images)
    return data.with_image_size(options.image_size) if options.image_size else data


def hold_out(data):
    """The data with the last 5,000 training images in place of the test split.

    Raises
    ------
    ValueError
        If that leaves fewer to train on, or none of a class that is held out.
    """
    images, labels = data.train.images, data.train.labels
    if len(labels) < 2 * HELD_OUT:
        raise ValueError(
            f"Validation takes {HELD_OUT:,} training images, and must leave as many: {data.name} "
            f"has {len(labels):,}. Validate on the test split."
        )
    train, held = slice(None, -HELD_OUT), slice(-HELD_OUT, None)
    parts = [Split(_own(images[rows]), labels[rows].copy()) for rows in (train, held)]
    data = dataclasses.replace(data, train=parts[0], test=parts[1])
    check_covered(data)
    return data


def _own(part):
    """A copy of a part of an array, so that the rest can go; a mapped one stays as it is."""
    return part.copy() if mapping_of(part) is None else part
