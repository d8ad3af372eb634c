"""What every version of a fine-tuning has in common: examples, order, and what a phase took.

It imports nothing of `batch`, so that it runs beside any backend of Keras.
"""

import contextlib
import dataclasses
import pathlib
import time

import numpy as np

from research.benchmarks.processes import megabytes

CLASSES = 10


@dataclasses.dataclass
class Case:
    """A base, and how it is fine-tuned: first a new classifier alone, then the last stage, too.

    Attributes
    ----------
    base : str
        Name of the functions that make it.
    folder : str
        With the images and labels of 'train' and, perhaps, 'test', as `save` writes them, and the
        base's weights, if they are not random.
    shape : tuple of int
    last : sequence of str
        What names of layers of Keras' own base begin with that are trained in the second phase.
    stages : sequence
        Of the base, where its functions ask for them.
    normalize : dict or None
        Mean and deviation of each channel, of images divided by 255.
    batch_size, epochs, further : int
        Epochs of the first and of the second phase.
    rates : tuple of float
        Adam's, of either phase.
    seed : int
        Of the classifier's initial weights and of the order.
    threads : int
    """

    base: str
    folder: str
    shape: tuple
    last: tuple
    stages: tuple = ()
    normalize: dict | None = None
    batch_size: int = 50
    epochs: int = 10
    further: int = 5
    rates: tuple = (1e-3, 1e-4)
    seed: int = 0
    threads: int = 1

    def __post_init__(self):
        self.shape, self.phases = tuple(self.shape), []
        self._order = np.random.default_rng(self.seed)
        self._before = megabytes("VmRSS")  # what is imported

    def save(self, split, images, labels):
        """Write the examples of a split."""
        np.savez(pathlib.Path(self.folder, f"{split}.npz"), images=images, labels=labels)

    def examples(self, split):
        """Images, uint8, and labels; None if there are none."""
        path = pathlib.Path(self.folder, f"{split}.npz")
        if not path.exists():
            return None
        with np.load(path) as arrays:
            return arrays["images"], arrays["labels"]

    def save_weights(self, arrays):
        """Write kernel, scale, offset, mean and variance of one convolution after the other."""
        np.savez(pathlib.Path(self.folder, "weights.npz"), *arrays)

    def weights(self):
        """These arrays, in Keras' layout."""
        with np.load(pathlib.Path(self.folder, "weights.npz")) as arrays:
            return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]

    def batches(self, epochs, count):
        """The rows of each batch of so many epochs, in a new order each."""
        for _ in range(epochs):
            order = self._order.permutation(count)
            yield from np.split(order, range(self.batch_size, count, self.batch_size))

    @contextlib.contextmanager
    def phase(self):
        """A phase is made within this context; yields what it took, to be completed."""
        made, start = {"accuracy": None, "losses": [], "waited": 0.0}, time.perf_counter()
        yield made
        made["seconds"] = time.perf_counter() - start - made["waited"]
        made["megabytes"] = megabytes("VmHWM") - self._before
        self.phases.append(made)
