"""The training step: blocks, their optimizers, and what a stage compiles."""

from batch.runtime import import_tensorflow

import_tensorflow()
