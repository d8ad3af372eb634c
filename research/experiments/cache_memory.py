"""How much memory caches may take: asked once, before the first step, and then a setting."""

import dataclasses


def settled(experiments):
    """Experiments that run side by side, with bytes of memory in place of a cache of 'auto'.

    They share half of the memory that is free now.

    Parameters
    ----------
    experiments : dict from str to Experiment
    """
    waiting = [label for label, run in experiments.items() if run.cache == "auto"]
    if not waiting:
        return experiments
    from batch.feature_cache.placement import memory_for_features

    known = {"cache": memory_for_features(len(waiting))}
    return {
        label: dataclasses.replace(run, **known) if label in waiting else run
        for label, run in experiments.items()
    }


def alike(cache, other):
    """Whether two settings of the cache say the same; 'auto' became a number of bytes."""
    return cache == other or all(
        each == "auto" or isinstance(each, (int, float)) for each in (cache, other)
    )
