"""The engine under Keras' `compile` and `fit`."""

from batch.runtime import import_tensorflow

import_tensorflow()
