"""The decays of BatchFlow's models: rates that fall every so many iterations."""

import dataclasses
import inspect
import math
from collections.abc import Callable

import numpy as np

from batch.checks import (
    as_number,
    function,
    not_negative,
    positive,
    positive_whole,
    received,
    sequence,
    whole,
)
from batch.schedules.config import at, block_count

RANGE = ("frequency", "start_iter", "last_iter")


class Decays:
    """BatchFlow's `decay`: the same rate for every block, changed every so many iterations.

    Each decay makes a step after iterations start_iter, start_iter + frequency … (1 is the first
    iteration, and there is no step after none), up to last_iter. What a step does is PyTorch's:

    - `exp` multiplies the rate by `gamma` (0.96)
    - `step` does so every `step_size` (30) steps, by `gamma` (0.1)
    - `multistep` does so at the steps of `milestones` (30, 80), by `gamma` (0.1)
    - `cos` follows a cosine to `eta_min` (0) at step `T_max`
    - `lambda` sets the rate to the first one times `lr_lambda(steps)`, 0.96 to the power of the
      steps by default
    - a Keras learning-rate schedule, or the name of its class, gives the rate after so many steps

    Parameters
    ----------
    blocks : int
        Number of blocks, without the classifier.
    learning_rate : float
        The first rate.
    decays : dict, (str, dict) or Keras schedule, or a list of them
        Each has a `name`, a `frequency`, `start_iter` (0) and `last_iter` (never) if wanted, and
        the arguments above. PyTorch's names, as `ExponentialLR`, mean the same. A Keras schedule
        alone has the frequency 1. Several change the same rate in turn.

    Raises
    ------
    ValueError
        If a name or an argument is not known, or a value does not fit.

    Examples
    --------
    >>> halved = {"name": "exp", "gamma": 0.5, "frequency": 2}
    >>> [float(Decays(1, 0.8, halved)(iteration)[0]) for iteration in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    def __init__(self, blocks, learning_rate, decays):
        self.blocks = block_count(blocks)
        self.learning_rate = positive("learning_rate", learning_rate)
        several = isinstance(decays, (list, tuple)) and not _is_pair(decays)
        self._decays = [
            _decay(spec, self.learning_rate) for spec in (decays if several else [decays])
        ]
        self._rates = self._first(100)

    def __call__(self, iteration):
        """Rates at an iteration, shape `(blocks,)`, float64."""
        iteration = at(iteration)
        if iteration >= len(self._rates):
            self._rates = self._first(2 * iteration)
        return np.full(self.blocks, self._rates[iteration])

    def _first(self, count):
        """The rates of the first iterations; each follows from the one before."""
        rate, steps = self.learning_rate, [0] * len(self._decays)
        for decay in self._decays:
            rate = decay.rate(rate, 0, self.learning_rate)
        rates = [rate]
        for iteration in range(1, count):
            for number, decay in enumerate(self._decays):
                if decay.is_due(iteration):
                    steps[number] += 1
                    rate = decay.rate(rate, steps[number], self.learning_rate)
            rates.append(rate)
        return np.array(rates, np.float64)


@dataclasses.dataclass(frozen=True)
class _Decay:
    """A decay: from the rate, the steps made and the first rate to the next rate; and when."""

    rate: Callable
    frequency: int
    start: int
    last: float

    def is_due(self, iteration):
        """Whether there is a step after an iteration, 1 being the first."""
        due = (iteration - self.start) % self.frequency == 0
        return due and self.start <= iteration <= self.last


def _exponential(gamma=0.96):
    gamma = positive("decay/gamma", gamma)
    return lambda rate, steps, first: rate * gamma if steps else rate


def _in_steps(step_size=30, gamma=0.1):
    step_size = positive_whole("decay/step_size", step_size)
    gamma = positive("decay/gamma", gamma)
    return lambda rate, steps, first: rate * gamma if steps and not steps % step_size else rate


def _at_milestones(milestones=(30, 80), gamma=0.1):
    listed = sequence("decay/milestones", milestones, "numbers of steps")
    due = [whole("decay/milestones", step) for step in listed]
    gamma = positive("decay/gamma", gamma)
    return lambda rate, steps, first: rate * gamma ** due.count(steps)


def _cosine(T_max, eta_min=0.0):  # noqa: N803 PyTorch's name
    last = positive_whole("decay/T_max", T_max)
    least = not_negative("decay/eta_min", eta_min)

    def rate_after(rate, steps, first):
        if not steps:
            return rate
        if (steps - 1 - last) % (2 * last) == 0:  # rising again
            return rate + (first - least) * (1 - math.cos(math.pi / last)) / 2
        now, before = (1 + math.cos(math.pi * step / last) for step in (steps, steps - 1))
        return now / before * (rate - least) + least

    return rate_after


def _by_factor(lr_lambda=lambda steps: 0.96**steps):
    factor = function("decay/lr_lambda", lr_lambda, "from the steps to a factor")
    return lambda rate, steps, first: first * as_number(factor(steps))


RULES = {
    "exp": _exponential,
    "step": _in_steps,
    "multistep": _at_milestones,
    "cos": _cosine,
    "lambda": _by_factor,
}
PYTORCH = {
    "ExponentialLR": "exp",
    "StepLR": "step",
    "MultiStepLR": "multistep",
    "CosineAnnealingLR": "cos",
    "LambdaLR": "lambda",
}
EXPECTED = (
    f"decay must be {{'name': …, 'frequency': …}}, where the name is one of {', '.join(RULES)}, "
    "PyTorch's for these, or a Keras learning-rate schedule, and the frequency a number of "
    "iterations. For anything else, 'schedule' takes a callable from the iteration to the rates."
)


def _is_pair(spec):
    pair = isinstance(spec, (list, tuple)) and len(spec) == 2
    return pair and isinstance(spec[0], str) and isinstance(spec[1], dict)


def _decay(spec, first):
    """The decay that an entry of a config describes."""
    import keras  # the other schedules do without

    if isinstance(spec, keras.optimizers.schedules.LearningRateSchedule):
        spec = {"name": spec, "frequency": 1}
    elif _is_pair(spec):
        spec = {"name": spec[0], **spec[1]}
    if not isinstance(spec, dict) or "name" not in spec or "frequency" not in spec:
        raise ValueError(f"{EXPECTED} {received(spec)}")
    arguments = {key: value for key, value in spec.items() if key not in ("name", *RANGE)}
    last = spec.get("last_iter", math.inf)
    return _Decay(
        _rule(keras, spec["name"], arguments, first),
        positive_whole("decay/frequency", spec["frequency"]),
        int(not_negative("decay/start_iter", spec.get("start_iter", 0))),
        math.inf if as_number(last) == math.inf else not_negative("decay/last_iter", last),
    )


def _rule(keras, name, arguments, first):
    """From the rate, the steps made and the first rate to the next rate."""
    schedules = keras.optimizers.schedules
    if isinstance(name, schedules.LearningRateSchedule) and not arguments:
        return lambda rate, steps, first: float(name(steps))
    if isinstance(name, str):
        name = PYTORCH.get(name, name)
        if name in RULES:
            _check_names(RULES[name], name, arguments)
            return RULES[name](**arguments)
        maker = getattr(schedules, name, None)
        if isinstance(maker, type) and issubclass(maker, schedules.LearningRateSchedule):
            if "initial_learning_rate" in inspect.signature(maker).parameters:
                arguments = {"initial_learning_rate": first, **arguments}
            return _by_keras(maker, name, arguments)
    raise ValueError(f"{EXPECTED} {received(name)}")


def _by_keras(maker, name, arguments):
    """The rule of a Keras schedule, from its class and its arguments."""
    _check_names(maker, name, arguments)
    try:
        schedule = maker(**arguments)
        float(schedule(0))
    except Exception as error:  # Keras' messages are of many lines, and name no decay
        raise ValueError(
            f"decay must have arguments that {name} can use. {received(arguments)}"
        ) from error
    return lambda rate, steps, first: float(schedule(steps))


def _check_names(maker, name, arguments):
    """Refuse arguments that a rule or a Keras schedule lacks, or does not take."""
    try:
        inspect.signature(maker).bind(**arguments)
    except TypeError as error:
        takes = ", ".join((*inspect.signature(maker).parameters, *RANGE))
        message = f"The decay {name} takes {takes}. Received: {', '.join(arguments) or 'nothing'}"
        raise ValueError(message) from error
