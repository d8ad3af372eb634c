"""What `BlockModel.compile` takes beside Keras' own arguments."""

import dataclasses
import inspect
import logging
from typing import Any

from batch.checks import one_of, received
from batch.feature_cache.prefix_cache import checked_storage
from batch.networks.freeze_by_name import inference_names
from batch.schedules import SCHEDULES, make_schedule
from batch.schedules.rates import KerasRates

LEFT_OUT = "left out"  # in the place of a schedule that no file can hold


@dataclasses.dataclass(frozen=True)
class Options:
    """These arguments, as they were given.

    Attributes
    ----------
    steps : int, optional
        Of an epoch, for which a function of blocks and steps has made the schedule.
    """

    schedule: Any = None
    freeze: Any = ()
    frozen_batch_norm: str = "inference"
    inference_mode: Any = ()
    cache: Any = "auto"
    steps: int | None = None

    @property
    def waits(self):
        """Whether the schedule can't be made before the number of steps in an epoch is known."""
        return self.steps is None and _takes_steps(self.schedule)

    def check(self, network, optimizer):
        """Refuse what a network can't be trained with.

        Raises
        ------
        ValueError
        """
        one_of("frozen_batch_norm", self.frozen_batch_norm, ("inference", "batch"))
        inference_names(network, self.inference_mode)
        checked_storage(self.cache)
        rate = optimizer._learning_rate  # noqa: SLF001 the public property is the value of now
        if self.schedule is not None and callable(rate):
            raise ValueError(
                "Give 'schedule' or a schedule of the optimizer's rate, not both. "
                f"{received(type(rate).__name__)}"
            )
        if not self.waits:
            self.schedule_of(network, optimizer)

    def at_epochs_of(self, steps, network):
        """The options of a `fit` with so many steps an epoch, None if that is not known.

        Raises
        ------
        ValueError
            If the schedule counts epochs, and they are not known or others than before.
        """
        if self.waits:
            if steps is None:
                raise ValueError(
                    "A schedule that counts epochs needs to know how many steps they have, and "
                    "this data does not say it: give steps_per_epoch. Received: None"
                )
            made = make_schedule(self.schedule(_blocks(network), steps), _blocks(network))
            return dataclasses.replace(self, schedule=made, steps=steps)
        if self.steps not in (None, steps):
            raise ValueError(
                f"The schedule was made for epochs of {self.steps} steps: compile again for "
                f"others. {received(steps)}"
            )
        return self

    def schedule_of(self, network, optimizer):
        """The schedule of a network's blocks; by default, the optimizer's rate for all."""
        blocks = _blocks(network)
        if self.waits:
            raise ValueError(
                "A schedule that counts epochs needs fit, which knows how many steps they have. "
                "Received: a batch alone"
            )
        if self.schedule is None:
            return KerasRates(blocks, lambda iteration: optimizer.learning_rate)
        if callable(self.schedule) and not _is_schedule(self.schedule, blocks):
            return make_schedule(self.schedule(blocks), blocks)
        return make_schedule(self.schedule, blocks)

    def to_config(self, network, cache):
        """Plain values, with the cache as it was settled; a schedule may be left out, with a line.

        A callable that made one of our schedules becomes its name and arguments.
        """
        schedule = self.schedule
        if callable(schedule):
            made = schedule if self.waits else self.schedule_of(network, None)
            known = SCHEDULES.get(type(made).__name__) is type(made)
            if not known:
                logging.getLogger(__name__).warning(
                    "The schedule, %s, is not in the file: give it to compile again.",
                    getattr(schedule, "__name__", type(schedule).__name__),
                )
            schedule = (type(made).__name__, made.get_config()) if known else LEFT_OUT
        fields = {name: value for name, value in vars(self).items() if name != "steps"}
        return {**fields, "schedule": schedule, "cache": cache}


def _blocks(network):
    """How many blocks a schedule has rates for."""
    return len(network.layers) - 1


def _takes_steps(schedule):
    """Whether a callable takes two arguments: blocks, and the steps of an epoch."""
    try:
        takes = inspect.signature(schedule).parameters.values()
    except (TypeError, ValueError):  # it is not callable, or does not say
        return False
    needed = [each for each in takes if each.default is each.empty]
    return len(needed) == 2 and all(each.kind <= each.POSITIONAL_OR_KEYWORD for each in needed)


def _is_schedule(given, blocks):
    """Whether a callable is a schedule, not a function from the number of blocks to one."""
    known = any(hasattr(given, name) for name in ("last_iterations", "observe"))
    return known or not callable(given(blocks))
