"""BatchFlow models: a network of blocks, its trainer, and what a call is given and gives back."""

from batch.runtime import import_tensorflow

import_tensorflow()
