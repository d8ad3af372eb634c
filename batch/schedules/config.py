"""The config of a schedule: the arguments that make it again."""

from typing import ClassVar

from batch.checks import positive_whole, whole

MOST_BLOCKS = 100_000


def block_count(blocks):
    """A checked number of blocks."""
    return positive_whole("blocks", blocks, MOST_BLOCKS)


def at(iteration):
    """A checked iteration, from 0."""
    return whole("iteration", iteration)


class Configured:
    """A schedule whose attributes hold the arguments that made it."""

    ARGUMENTS: ClassVar[tuple] = ()  # their names

    def get_config(self):
        """The arguments that make this schedule again, in its initial state."""
        return {name: getattr(self, name) for name in self.ARGUMENTS}
