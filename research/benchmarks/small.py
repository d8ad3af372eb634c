"""What all versions of the small ResNet have in common: filters, optimizer, random examples."""

import numpy as np

SGD = {"learning_rate": 0.03, "momentum": 0.8, "nesterov": True}
SHAPE, CLASSES = (28, 28, 1), 10  # of an image, and of all


def block_filters(blocks=4):
    """Filters of so many residual blocks, in pairs: its own four, or as many more of each kind."""
    half = blocks // 2
    return [[32, 32, 128]] * half + [[64, 64, 256]] * half


def random_examples(count, shape=SHAPE):
    """Random images, uint8, and their classes, of which there are ten if there are as many."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, count)
    labels[:CLASSES] = np.arange(CLASSES)[:count]
    return images, labels
