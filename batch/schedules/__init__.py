"""Learning-rate schedules: from the iteration to the learning rate of every block; 0 is frozen.

A schedule is any callable that takes an iteration (0, 1, …) and returns an array of shape
`(blocks,)`. The classifier is not counted; it follows the last block. One that looks at training
also has `observe(iteration, gradient_norms)`, `get_state()` and `set_state(state)`. NumPy only.
"""

import copy
import json

from batch.schedules.autofreeze import AutoFreeze
from batch.schedules.freezeout import Annealed, FreezeOut
from batch.schedules.layer_freezing import LayerFreezing
from batch.schedules.rates import Constant, Discriminative, KerasRates, MultiStep

SCHEDULES = {
    one.__name__: one
    for one in (FreezeOut, Annealed, Constant, MultiStep, LayerFreezing, AutoFreeze, Discriminative)
}


def observes(schedule):
    """Whether a schedule looks at training, so that what it gives is no function of the iteration.

    It then has `observe(iteration, gradient_norms)`, `get_state()` and `set_state(state)`.
    """
    return callable(getattr(schedule, "observe", None))


def choose_schedule(config, rate, blocks):
    """The schedule of a model: the config's, a constant rate, or the optimizer's.

    Parameters
    ----------
    config : dict
        Its `schedule` or `learning_rate` counts, of which there may be one.
    rate : float or keras.optimizers.schedules.LearningRateSchedule
        That of the optimizer; a Keras schedule stands in place of both.
    blocks : int
        Number of blocks, without the classifier.

    Raises
    ------
    ValueError
        If there are several, or one does not fit.
    """
    own = not isinstance(rate, float)
    given = [key for key in ("schedule", "learning_rate") if key in config]
    if len(given) + own > 1:
        names = " and ".join(given + ["the optimizer's own schedule"] * own)
        raise ValueError(f"Give 'learning_rate' or 'schedule', not both. Received: {names}")
    if not own:
        constant = "Constant", {"learning_rate": config.get("learning_rate", rate)}
        return make_schedule(config.get("schedule", constant), blocks)
    return KerasRates(blocks, rate)


def make_schedule(spec, blocks):
    """A schedule from `(name, arguments)` or from itself; `blocks` is filled in.

    One that looks at training is copied as it is, for it changes with the model it trains; its
    state must be plain, for it is saved with the model.

    Raises
    ------
    ValueError
        If it is unknown or made for another number of blocks.
    """
    if callable(spec):
        made_for = getattr(spec, "blocks", blocks)
        if made_for != blocks:
            raise ValueError(
                f"The network has {blocks} blocks (the classifier not counted). "
                f"Received: a schedule for {made_for}"
            )
        return _own_copy(spec) if observes(spec) else spec
    known = isinstance(spec, (tuple, list)) and len(spec) == 2 and spec[0] in SCHEDULES
    if not known:
        raise ValueError(
            "schedule must be a callable from the iteration to the blocks' rates, or (name, "
            f"arguments) with a name among {', '.join(SCHEDULES)}. Received: {spec!r}"
        )
    return SCHEDULES[spec[0]](**{**spec[1], "blocks": blocks})


def _own_copy(schedule):
    own = copy.deepcopy(schedule)
    try:
        own.set_state(json.loads(json.dumps(own.get_state())))
    except (AttributeError, TypeError) as error:
        raise ValueError(
            "A schedule with observe() needs get_state(), in plain values, and set_state(state). "
            f"Received: {type(schedule).__name__} ({error})"
        ) from error
    return own
