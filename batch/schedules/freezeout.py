"""FreezeOut, its matched baseline, and its authors' estimate of the saving. NumPy only."""

import math

import numpy as np

from batch.checks import (
    MOST_CHANNELS,
    MOST_LAYERS,
    as_number,
    one_of,
    optional,
    positive,
    positive_whole,
    received,
    share,
    stepped,
    true_or_false,
)
from batch.schedules.config import Configured, at, block_count

DEGREES = {"linear": 1, "squared": 2, "cubic": 3}  # the paper's how_scale


class FreezeOut(Configured):
    """FreezeOut: each block's rate falls to zero on a cosine of its own, early blocks first.

    Block i of n (i = 0 … n − 1) learns at the rate α_i(t) = ½·α_i(0)·(1 + cos(π·t/t_i)) until
    iteration t_i = T·ratio_i, ratio_i = (t_0 + (1 − t_0)·i/(n − 1))^degree. Then it is frozen. The
    classifier follows the last block. The authors' program counts the classifier as the last layer,
    so that its blocks stop earlier; `count_classifier` gives its iterations.

    Parameters
    ----------
    blocks : int
        Number of blocks n, without the classifier.
    iterations : int
        Last iteration T: the last block stops there.
    learning_rate : float
        Base rate α. Scaled rates start at α_i(0) = α/ratio_i, so that the area under every block's
        curve is the same. Unscaled rates start at α_i(0) = α.
    t_0 : float
        Share of the iterations after which the first block stops, before `degree` is applied.
    degree : {1, 2, 3}
        Linear, squared or cubic spacing of the last iterations.
    scaled : bool
        See `learning_rate`.
    finetune_rate : float, optional
        From iteration T on, all blocks learn again, at this rate. Without it they stay frozen.
    count_classifier : bool
        Space the layers as the authors' program does: ratio_i = (t_0 + (1 − t_0)·i/n)^degree for
        the blocks, and 1 for the classifier, whose rate is then one of its own, the last of
        `blocks + 1`.

    Attributes
    ----------
    last_iterations : ndarray, shape (blocks,), float64
        t_i: block i is frozen from the first iteration t ≥ t_i.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    Brock et al., FreezeOut: Accelerate Training by Progressively Freezing Layers, 2017, equations
    1 and 2 (which lack the factor ½).

    Examples
    --------
    >>> FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False).last_iterations
    array([180., 210., 240., 270., 300.])
    >>> FreezeOut(4, 300, 0.06, t_0=0.6, degree=1, count_classifier=True).last_iterations
    array([180., 210., 240., 270.])
    """

    ARGUMENTS = (
        *("blocks", "iterations", "learning_rate"),
        *("t_0", "degree", "scaled", "finetune_rate", "count_classifier"),
    )

    def __init__(
        self,
        blocks,
        iterations,
        learning_rate,
        t_0=0.8,
        degree=3,
        scaled=True,
        finetune_rate=None,
        count_classifier=False,
    ):
        self.blocks = block_count(blocks)
        self.iterations = positive_whole("iterations", iterations)
        self.learning_rate = positive("learning_rate", learning_rate)
        self.t_0 = share("t_0", t_0)
        self.degree = as_number(degree)
        if self.degree not in (1, 2, 3):
            raise ValueError(f"degree must be 1, 2 or 3. {received(degree)}")
        self.degree = int(self.degree)
        self.scaled = true_or_false("scaled", scaled)
        self.finetune_rate = optional(positive, "finetune_rate", finetune_rate)
        self.count_classifier = true_or_false("count_classifier", count_classifier)
        layers = self.blocks + self.count_classifier  # whose rates it gives
        depth = np.linspace(0.0, 1.0, layers) if layers > 1 else np.ones(1)
        ratios = (self.t_0 + (1.0 - self.t_0) * depth) ** self.degree
        self._ends = snapped(self.iterations * ratios)
        self.last_iterations = self._ends[: self.blocks]
        self._initial = self.learning_rate / ratios if self.scaled else self.learning_rate
        if np.max(self._initial) > np.finfo(np.float32).max:
            raise ValueError(f"t_0 is too small: scaled rates are not finite. {received(t_0)}")

    @classmethod
    def from_epochs(
        cls,
        blocks,
        epochs,
        examples,
        *,
        batch_size,
        learning_rate=0.1,
        how_scale="cubic",
        scale_lr=True,
        t_0=0.8,
    ):
        """The schedule for a run of so many epochs, with the arguments of the authors' program.

        Parameters
        ----------
        blocks : int
            Number of blocks n, without the classifier.
        epochs : float
        examples, batch_size : int
            Images in the training split and in a batch. They give the iterations of an epoch.
        learning_rate, t_0
            As for the class.
        how_scale : {'linear', 'squared', 'cubic'}
            `degree` by its name.
        scale_lr : bool
            `scaled`.

        Examples
        --------
        >>> FreezeOut.from_epochs(39, 100, examples=45000, batch_size=50).iterations
        90000
        """
        iterations = iterations_of(epochs, examples, batch_size)
        degree, scaled = degree_of(how_scale), true_or_false("scale_lr", scale_lr)
        return cls(blocks, iterations, learning_rate, t_0=t_0, degree=degree, scaled=scaled)

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64; 0 is frozen.

        With `count_classifier`, the shape is `(blocks + 1,)`, and the last is the classifier's.
        """
        iteration = at(iteration)
        if self.finetune_rate is not None and iteration >= self.iterations:
            return np.full(len(self._ends), self.finetune_rate)
        cosine = 0.5 * self._initial * (1.0 + np.cos(np.pi * iteration / self._ends))
        return np.where(iteration < self._ends, cosine, 0.0)


class Annealed:
    """FreezeOut's matched baseline: one cosine from the learning rate to zero for all blocks.

    It is the curve of the layer that FreezeOut stops last. It takes the same arguments, so that
    only the name differs. A difference between the two comes from freezing, not from annealing.

    Parameters
    ----------
    blocks, iterations, learning_rate, finetune_rate
        As for `FreezeOut`.
    t_0, degree, scaled, count_classifier
        As for `FreezeOut`; they change nothing here, since that curve does not depend on them.

    Attributes
    ----------
    last_iterations : ndarray, shape (blocks,), float64
        T for every block.
    """

    def __init__(
        self,
        blocks,
        iterations,
        learning_rate,
        t_0=0.8,
        degree=3,
        scaled=True,
        finetune_rate=None,
        count_classifier=False,
    ):
        self._freezeout = FreezeOut(
            *(blocks, iterations, learning_rate, t_0, degree, scaled, finetune_rate),
            count_classifier=count_classifier,
        )
        self.blocks, self.iterations = self._freezeout.blocks, self._freezeout.iterations
        self.learning_rate = self._freezeout.learning_rate
        self.last_iterations = np.full(self.blocks, float(self.iterations))

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64."""
        return np.full(self.blocks, self._freezeout(iteration)[-1])

    def get_config(self):
        """The arguments that make this schedule again."""
        return self._freezeout.get_config()


def iterations_of(epochs, examples, batch_size):
    """Iterations of so many epochs, rounded up: a batch may go from one epoch into the next."""
    epochs = positive("epochs", epochs)
    examples = positive_whole("examples", examples)
    iterations = epochs * examples / positive_whole("batch_size", batch_size)
    return positive_whole("epochs · examples / batch_size", math.ceil(iterations))


def degree_of(how_scale):
    """1, 2 or 3 for 'linear', 'squared' or 'cubic'."""
    return DEGREES[one_of("how_scale", how_scale, DEGREES)]


def snapped(values):
    """Values with rounding errors next to whole numbers removed, so that t ≥ t_i holds at t_i."""
    whole = np.round(values)
    return np.where(np.isclose(values, whole, rtol=1e-12, atol=0.0), whole, values)


def calc_speedup(growth_rate, depth, t_0, how_scale):
    """Share of a run's time that FreezeOut saves, by its authors' own estimate.

    Layer l of the stem and the dense layers learns for f(t_0 + (1 − t_0)·l/layers) of the run,
    f(x) = x, x², x³. Its forward pass costs c_l, and so does its backward pass while it learns:
    1 − (Σc + Σc·f)/(2Σc).

    The estimate assumes that a backward pass costs as much as a forward pass; really it costs about
    twice as much. It leaves out transitions and classifier, and multiplies the saving of the linear
    schedule by 1.3 without a reason. `batch.flops.predicted_ratio` counts what is computed.

    Parameters
    ----------
    growth_rate : int
        k.
    depth : int
        L, 6n + 4, where the published function takes n, the dense layers of a stage.
    t_0 : float
        When the first layer stops, as a share of the run, before f.
    how_scale : {'linear', 'squared', 'cubic'}
        f.

    Returns
    -------
    float

    References
    ----------
    Brock et al., FreezeOut, 2017; `calc_speedup` in the program published with it.

    Examples
    --------
    >>> round(calc_speedup(12, 76, 0.8, "cubic"), 3)
    0.178
    """
    growth_rate = positive_whole("growth_rate", growth_rate, MOST_CHANNELS)
    depth = stepped("depth", depth, 10, 6, "6n + 4, as 40 or 76", MOST_LAYERS)
    t_0, degree = share("t_0", t_0), degree_of(how_scale)
    costs = np.array(_layer_costs(growth_rate, (depth - 4) // 6), dtype=float)
    learning = (t_0 + (1 - t_0) * np.arange(len(costs)) / len(costs)) ** degree
    saved = 1 - (costs.sum() + (costs * learning).sum()) / (2 * costs.sum())
    return float(saved * (1.3 if how_scale == "linear" else 1))


def _layer_costs(growth_rate, count):
    """Forward cost of the stem and of each dense layer, in the authors' units."""
    costs = [3 * 2 * growth_rate * 32**2 * 9]
    width = 2  # of a layer's input, in growth rates
    for pixels in (32**2, 16**2, 8**2):
        for _ in range(count):
            costs.append((width * 4 * growth_rate**2 + 36 * growth_rate**2) * pixels)
            width += 1
        width //= 2
    return costs
