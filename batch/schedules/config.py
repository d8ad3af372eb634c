"""The config of a schedule: the arguments that make it again."""

from typing import ClassVar


class Configured:
    """A schedule whose attributes hold the arguments that made it."""

    ARGUMENTS: ClassVar[tuple] = ()  # their names

    def get_config(self):
        """The arguments that make this schedule again, in its initial state."""
        return {name: getattr(self, name) for name in self.ARGUMENTS}
