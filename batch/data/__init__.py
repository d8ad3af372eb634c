"""Data sets, labels and histories; no TensorFlow."""
