"""The speed-up that FreezeOut's authors estimate for a DenseNet-BC, next to which ours stands."""

import numpy as np

from batch.schedules import degree_of


def calc_speedup(growth_rate, depth, t_0, how_scale):
    """Share of a run's time that FreezeOut saves, by its authors' own estimate.

    Layer l of the stem and the dense layers learns for f(t_0 + (1 − t_0)·l/layers) of the run,
    f(x) = x, x², x³. Its forward pass costs c_l, and so does its backward pass while it learns:
    1 − (Σc + Σc·f)/(2Σc).

    The estimate assumes that a backward pass costs as much as a forward pass, where it costs about
    twice as much; leaves transitions and classifier out; and multiplies the linear schedule's
    saving by an unexplained 1.3. `batch.flops.predicted_ratio` counts what is really computed.

    Parameters
    ----------
    growth_rate : int
        k.
    depth : int
        L, 6n + 4.
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
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"depth must be 6n + 4, as 40 or 76. Received: {depth!r}")
    degree = degree_of(how_scale)
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
