import numpy as np
import pytest
import tensorflow as tf

from batch.data.examples import Examples


@pytest.fixture
def placed(examples):
    """The first 30 of the images, on the device."""
    images, labels = examples
    return Examples(tf.constant(images), tf.constant(labels, tf.int64), np.arange(30))
