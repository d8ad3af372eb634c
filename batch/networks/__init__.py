"""Networks as sequences of blocks; Keras only."""

from batch.runtime import import_tensorflow

import_tensorflow()
