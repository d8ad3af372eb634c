"""What trains a `BlockModel`, and its state."""

from batch.keras_model import saved
from batch.keras_model.validation import Validation
from batch.training.preprocessing import AsGiven
from batch.training.trainer import Trainer


class Training:
    """What trains the model, and its state; Keras' files do not see it.

    Parameters
    ----------
    template : keras.optimizers.Optimizer
        That the blocks' optimizers are copies of.
    state : dict of ndarray
        To begin with, as from `saved.state_now`; empty for none.
    frozen_here : list of str
        Patterns of what `compile` has frozen.
    """

    def __init__(self, template=None, state=(), frozen_here=()):
        self.template, self.state, self.frozen_here = template, dict(state), list(frozen_here)
        self.trainer, self.lacks_schedule = None, False
        self._validation = None

    def begin(self, network, schedule, **options):
        """Make the trainer."""
        given = {"preprocessing": AsGiven(), **options}
        self.trainer = Trainer(network, self.template, schedule, **given)
        if self.state:
            saved.set_state(self.trainer, self.state)
        self.state = {}

    def validation(self, images, labels):
        """The `Validation` on these arrays, the same as long as they are the same."""
        if self._validation is None or not self._validation.is_of(images, labels):
            self._validation = Validation(self.trainer, images, labels)
        return self._validation

    def state_now(self):
        """The state as it is now."""
        return saved.state_now(self.trainer) if self.trainer else self.state
