"""Networks as sequences of blocks, made of Keras layers."""

from batch.runtime import import_tensorflow

import_tensorflow()
