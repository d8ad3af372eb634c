"""Texts beside points, where they cover as little as may be."""

import numpy as np

from utils.style import font_size, text_size

SIDES = [(right, up) for right in (1, -1, 0) for up in (1, -1, 0) if (right, up) != (0, 0)]
DISTANCE = 5  # points, from a mark's centre to its text


def label_points(axis, places, texts):
    """Write a text beside each point: on the side where it covers least of others and of points.

    Call it when limits, labels and legend are as they will be.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    places : array_like, shape (points, 2)
    texts : sequence of str
    """
    size = 0.8 * font_size()
    axis.figure.draw_without_rendering()  # so that its layout is known
    points = axis.transData.transform(np.asarray(places, dtype=float)) * 72 / axis.figure.dpi
    taken = [(*(point - DISTANCE), *(point + DISTANCE)) for point in points]
    for place, point, text in zip(places, points, texts):
        boxes = [_box(point, side, *text_size(text, size)) for side in SIDES]
        best = int(np.argmin([sum(_shared(box, other) for other in taken) for box in boxes]))
        taken.append(boxes[best])
        right, up = SIDES[best]
        axis.annotate(
            text,
            place,
            (DISTANCE * right, DISTANCE * up),
            textcoords="offset points",
            fontsize=size,
            horizontalalignment=("center", "left", "right")[right],
            verticalalignment=("center", "bottom", "top")[up],
        )


def _box(point, side, width, height):
    """Left, bottom, right and top of a text on a side of a point."""
    left, bottom = point + DISTANCE * np.array(side) + (np.array(side) - 1) / 2 * (width, height)
    return left, bottom, left + width, bottom + height


def _shared(box, other):
    """The area that two boxes have in common."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    return np.prod(np.maximum(sides, 0))
