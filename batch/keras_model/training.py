"""What trains a `BlockModel`, and its state."""

import zlib

import tensorflow as tf

from batch.keras_model import saved
from batch.keras_model.validation import Validation
from batch.networks.layer_state import value_of
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
        self.rate = None  # of Keras' optimizer, as `compile` got it
        self._validation = None
        self._frozen = []  # names of the layers frozen for good in each block, as the trainer began
        self._checksums = []  # of the weights of leading frozen blocks

    def set_state(self, state):
        """Begin anew with a state."""
        self.state, self.trainer = dict(state), None
        self._validation, self._checksums = None, []

    def begin(self, network, schedule, **options):
        """Make the trainer."""
        given = {"preprocessing": AsGiven(), **options}
        self.trainer = Trainer(network, self.template, schedule, **given)
        self._frozen = saved.frozen(network)
        if self.state:
            saved.set_state(self.trainer, self.state)
        self.state = {}

    def takes(self, examples):
        """Whether the trainer, which is there, was made for such examples."""
        return self.trainer.steps.objective.labels.is_compatible_with(examples.labels)

    def step(self, examples):
        """A step of the trainer: loss and logits."""
        made = self.trainer.step(examples)
        frozen = self.trainer.frozen
        if frozen != len(self._checksums):  # frozen weights stay as they are
            self._checksums = self._checksums_of(frozen)
        return made

    def forget_if_changed(self):
        """Forget what frozen blocks have computed if their weights are others now."""
        if self._checksums and self._checksums != self._checksums_of(len(self._checksums)):
            self.trainer.cache.clear()
            self._validation, self._checksums = None, []

    def validation(self, images, labels):
        """The `Validation` on these arrays, the same as long as they are the same."""
        if self._validation is None or not self._validation.is_of(images, labels):
            self._validation = Validation(self.trainer, images, labels)
        return self._validation

    def state_now(self):
        """The state as it is now."""
        return saved.state_now(self.trainer, self._frozen) if self.trainer else self.state

    def _checksums_of(self, count):
        blocks = self.trainer.network.layers[:count]
        return [
            [zlib.crc32(value_of(weight).tobytes()) for weight in block.weights] for block in blocks
        ]


def build_for(labels, outputs, *parts):
    """Build losses and metrics of Keras, if they are not, for labels and outputs of some shapes.

    Parameters
    ----------
    labels : TensorSpec
    outputs : tuple of int
        The shape, with the batch first.
    """
    some = tf.zeros((2, *labels.shape[1:]), labels.dtype), tf.zeros((2, *outputs[1:]))
    for part in parts:
        if part is not None and not part.built:
            part.build(*some)
