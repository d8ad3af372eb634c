"""BatchFlow models: a network of blocks, its trainer, the inputs and the outputs of calls."""

from batch.runtime import import_tensorflow

import_tensorflow()
