"""Augmentation from a few fixed versions of each example, its views.

A view's crop is a function of seed, example and view. An example goes through its views in turn, a
view an epoch, from one that seed and example decide. The epoch follows from the iteration and the
place in the batch, where batches are as large as this one and go through all images again and
again. So after as many epochs as there are views, every version of an example was seen, and what
the cache keeps is complete; nothing needs to be remembered. NumPy only: the cache must know the
views before the step runs.
"""

import dataclasses

import numpy as np

from batch.data.rows import id_numbers

_STEP, *_FACTORS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)


def with_views(examples, iteration, preprocessing):
    """The examples with the views that they are seen in, and the crops of these.

    Parameters
    ----------
    examples : Examples
        Told apart by their ids or, without ids, by their rows. Where images are those of the batch
        alone, an epoch is an iteration.
    iteration : int
    preprocessing : Preprocessing
        With `views`.
    """
    numbers = id_numbers(examples.rows if examples.ids is None else examples.ids)
    seed, views = preprocessing.seed, preprocessing.views
    places = iteration * len(numbers) + np.arange(len(numbers))
    epochs = (places // len(examples.images)).astype(np.uint64)
    chosen = (_mixed(seed, 0, numbers) % np.uint64(views) + epochs) % np.uint64(views)
    limits = 2 * preprocessing.pad + 1, 2 * preprocessing.pad + 1, 1 + preprocessing.flip
    crops = [
        _mixed(seed, number, numbers, chosen) % np.uint64(limit)
        for number, limit in enumerate(limits, 1)
    ]
    return dataclasses.replace(
        examples, views=chosen.astype(np.int64), crops=np.stack(crops, axis=1).astype(np.int32)
    )


def _mixed(*parts):
    """Pseudo-random numbers of 64 bits that these numbers decide, by the function of SplitMix64.

    Parameters
    ----------
    *parts : int or ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,), uint64
    """
    state = np.zeros(1, np.uint64)
    for part in parts:
        state = (state ^ np.asarray(part, np.uint64)) + _STEP
        for shift, factor in zip((30, 27), _FACTORS):
            state = (state ^ (state >> np.uint64(shift))) * factor
        state = state ^ (state >> np.uint64(31))
    return state
