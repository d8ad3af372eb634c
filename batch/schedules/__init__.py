"""Learning-rate schedules: from the iteration to the learning rate of every block; 0 is frozen.

A schedule is any callable that takes an iteration (0, 1, …) and returns an array of shape
`(blocks,)`. The classifier is not counted: it follows the last block, unless the schedule gives
`blocks + 1` rates. A schedule that observes training also has `observe(iteration,
gradient_norms)`, `get_state()` and `set_state(state)`. NumPy only.
"""

import copy
import inspect
import json

from batch.checks import check_arguments, positive, received
from batch.schedules.autofreeze import AutoFreeze
from batch.schedules.config import block_count
from batch.schedules.decay import Decays
from batch.schedules.freezeout import Annealed, FreezeOut
from batch.schedules.layer_freezing import LayerFreezing
from batch.schedules.rates import Constant, Discriminative, KerasRates, MultiStep
from batch.spelling import did_you_mean

SCHEDULES = {
    schedule.__name__: schedule
    for schedule in (
        FreezeOut,
        Annealed,
        Constant,
        MultiStep,
        LayerFreezing,
        AutoFreeze,
        Discriminative,
    )
}


def observes(schedule):
    """Whether a schedule observes training, so that its rates do not follow from the iteration.

    It then has `observe(iteration, gradient_norms)`, `get_state()` and `set_state(state)`.
    """
    return callable(getattr(schedule, "observe", None))


def choose_schedule(config, rate, blocks):
    """The schedule of a model, from its config or from its optimizer's learning rate.

    Parameters
    ----------
    config : dict
        It may have a `schedule`, or a constant `learning_rate`, which a `decay` may change.
    rate : float or keras.optimizers.schedules.LearningRateSchedule
        That of the optimizer. With a Keras schedule, the config may have neither.
    blocks : int
        Number of blocks, without the classifier.

    Raises
    ------
    ValueError
        If more than one is given, or the schedule does not fit.
    """
    by_optimizer = not isinstance(rate, float)
    given = [key for key in ("schedule", "learning_rate") if key in config]
    given += ["decay"] * (config.get("decay") is not None)
    if len(given) + by_optimizer > 1 and given != ["learning_rate", "decay"]:
        names = " and ".join(given + ["the optimizer's own schedule"] * by_optimizer)
        raise ValueError(f"Give 'learning_rate' or 'schedule', not both. Received: {names}")
    if by_optimizer:
        return KerasRates(blocks, rate)
    rate = config.get("learning_rate", rate)
    if "decay" in given:
        return Decays(blocks, positive("learning_rate", rate), config["decay"])
    return make_schedule(config.get("schedule", ("Constant", {"learning_rate": rate})), blocks)


def make_schedule(spec, blocks):
    """A schedule for so many blocks, from `(name, arguments)` or from a schedule.

    A schedule that observes training is copied, since it changes with the model that it trains. Its
    state must be plain values, since it is saved with the model.

    Raises
    ------
    ValueError
        If the name is not known, or the schedule is for another number of blocks.
    """
    blocks = block_count(blocks)
    if callable(spec) and not isinstance(spec, type):
        _check_blocks(getattr(spec, "blocks", blocks), blocks)
        return _copied(spec) if observes(spec) else spec
    pair = isinstance(spec, (tuple, list)) and len(spec) == 2 and isinstance(spec[1], dict)
    if not pair or spec[0] not in list(SCHEDULES):
        hint = did_you_mean(spec[0] if pair else spec, SCHEDULES)
        raise ValueError(
            "schedule must be a callable from the iteration to the blocks' rates, or (name, "
            f"arguments) with a name among {', '.join(SCHEDULES)}. {received(spec)}{hint}"
        )
    return _made(spec[0], {"blocks": blocks, **spec[1]}, blocks)


def _made(name, arguments, blocks):
    """A schedule by its name, or a ValueError that says which of its arguments are wrong."""
    check_arguments(SCHEDULES[name], arguments, f"schedule '{name}'")
    _check_blocks(arguments["blocks"], blocks)
    takes = inspect.signature(SCHEDULES[name]).parameters.values()
    needed = [argument.name for argument in takes if argument.default is argument.empty]
    missing = [key for key in needed if key not in arguments]
    if missing:
        raise ValueError(f"schedule '{name}' needs {', '.join(needed)}. It lacks {missing[0]}")
    return SCHEDULES[name](**arguments)


def _check_blocks(made_for, blocks):
    if made_for != blocks:
        raise ValueError(
            f"The network has {blocks} blocks (the classifier not counted). "
            f"Received: a schedule for {made_for}"
        )


def _copied(schedule):
    twin = copy.deepcopy(schedule)
    try:
        twin.set_state(json.loads(json.dumps(twin.get_state())))
    except (AttributeError, TypeError) as error:
        raise ValueError(
            "A schedule with observe() needs get_state(), in plain values, and set_state(state). "
            f"Received: {type(schedule).__name__} ({error})"
        ) from error
    return twin
