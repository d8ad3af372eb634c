"""What `BlockModel.compile` takes beside Keras' own arguments."""

import dataclasses
import logging
from typing import Any

from batch.checks import one_of
from batch.feature_cache.prefix_cache import checked_storage
from batch.networks.freeze_by_name import inference_names
from batch.schedules import SCHEDULES, make_schedule
from batch.schedules.rates import KerasRates

LEFT_OUT = "left out"  # in the place of a schedule that no file can hold


@dataclasses.dataclass(frozen=True)
class Options:
    """These arguments, as they were given."""

    schedule: Any = None
    freeze: Any = ()
    frozen_batch_norm: str = "inference"
    inference_mode: Any = ()
    cache: Any = "auto"

    def check(self, network, optimizer):
        """Refuse what a network can't be trained with.

        Raises
        ------
        ValueError
        """
        one_of("frozen_batch_norm", self.frozen_batch_norm, ("inference", "batch"))
        inference_names(network, self.inference_mode)
        checked_storage(self.cache)
        self.schedule_of(network, optimizer)

    def schedule_of(self, network, optimizer):
        """The schedule of a network's blocks; by default, the optimizer's rate for all."""
        blocks = len(network.layers) - 1
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
            made = self.schedule_of(network, None)
            known = SCHEDULES.get(type(made).__name__) is type(made)
            if not known:
                logging.getLogger(__name__).warning(
                    "The schedule, %s, is not in the file: give it to compile again.",
                    getattr(schedule, "__name__", type(schedule).__name__),
                )
            schedule = (type(made).__name__, made.get_config()) if known else LEFT_OUT
        return {**vars(self), "schedule": schedule, "cache": cache}


def _is_schedule(given, blocks):
    """Whether a callable is a schedule, not a function from the number of blocks to one."""
    known = any(hasattr(given, name) for name in ("last_iterations", "observe"))
    return known or not callable(given(blocks))
