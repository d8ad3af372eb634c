"""Networks as sequences of blocks; Keras only."""
