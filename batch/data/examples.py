"""The examples of one call: made where the call begins, and passed on unchanged."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Examples:
    """Some rows of images and labels.

    Attributes
    ----------
    images : tensor, shape (N, H, W, C) or (N, L)
        `uint8`, which a step divides by 255, or numbers that it takes as they are.
    labels : tensor, shape (N,), int64
    rows : ndarray, shape (n,), int64
        The positions, in images and labels, of the examples that are meant.
    ids : ndarray, shape (n,), optional
        What tells each of these examples from all others of the dataset. Without ids, the rows do
        that, while the images are the very same array.
    weights : ndarray, shape (n,), float32, optional
        How much each of these examples counts, 0 or more; all alike by default.
    pixels : Pixels, optional
        Type and range of all the images.
    views : ndarray, shape (n,), int64, optional
        In which of its fixed versions each of these examples is seen, if it has some.
    crops : ndarray, shape (n, 3), int32, optional
        How these versions are cropped and mirrored (`batch.training.views`).
    """

    images: Any
    labels: Any
    rows: Any
    ids: Any = None
    weights: Any = None
    pixels: Any = None
    views: Any = None
    crops: Any = None

    def __len__(self):
        return len(self.rows)
