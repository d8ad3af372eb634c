"""The training step: the blocks' parts in it, their optimizers, and which steps are compiled."""

from batch.runtime import import_tensorflow

import_tensorflow()
