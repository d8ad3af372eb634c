"""What frozen blocks compute for each example, kept and read again."""

from batch.runtime import import_tensorflow

import_tensorflow()
