"""Networks as a Keras user writes them, with Keras' own layers.

It imports nothing of `batch`, so that it runs on any backend of Keras.
"""

import time

import keras

from research.benchmarks.small import CLASSES, SGD, SHAPE, block_filters, random_examples


class Waits(keras.callbacks.Callback):
    """Counts the seconds in which `fit` waits after an epoch and computes nothing.

    In TensorFlow 2.21, an epoch often ends only when the thread that tunes tf.data wakes again: it
    sleeps twice as long each time, so an epoch of 13 seconds takes 20.48.
    """

    def __init__(self):
        super().__init__()
        self.seconds, self._ended = 0.0, None

    def on_train_batch_begin(self, batch, logs=None):
        """The next epoch begins, or goes on."""
        self.end()

    def on_train_batch_end(self, batch, logs=None):
        """It may be the last one of an epoch."""
        self._ended = time.perf_counter()

    def end(self):
        """What follows is no wait."""
        if self._ended is not None:
            self.seconds += time.perf_counter() - self._ended
        self._ended = None


def fit(model, images, labels, **options):
    """Let a model fit some examples, and return the seconds in which it only waited."""
    waits = Waits()
    model.fit(images, labels, verbose=0, callbacks=[waits], **options)
    waits.end()
    return waits.seconds


def small_resnet_fit(batch_size, steps):
    """A function that makes so many training steps of the small ResNet, by one call of `fit`."""
    images, labels = random_examples(steps * batch_size)
    network = compiled_network()
    return lambda: fit(network, images, labels, batch_size=batch_size)


def compiled_network(blocks=4):
    """The small ResNet, compiled."""
    keras.utils.set_random_seed(0)  # op determinism asks for it
    network = stock_network(blocks)
    network.compile(
        optimizer=keras.optimizers.SGD(**SGD),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return network


def stock_network(blocks=4):
    """The small ResNet."""
    inputs = keras.Input(SHAPE)
    features = keras.layers.Rescaling(1 / 255)(inputs)
    features = _normalized(features, 32, 7, strides=2, relu=True)
    features = keras.layers.MaxPooling2D(2)(features)
    for widths in block_filters(blocks):
        branch = _normalized(features, widths[0], 1, relu=True)
        branch = _normalized(branch, widths[1], 3, relu=True)
        branch = _normalized(branch, widths[2], 1)
        if features.shape[-1] != widths[2]:
            features = _normalized(features, widths[2], 1)
        features = keras.layers.ReLU()(branch + features)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(features))


def _normalized(features, filters, size, strides=1, relu=False):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    features = keras.layers.Conv2D(filters, size, strides, **options)(features)
    features = keras.layers.BatchNormalization(momentum=0.9)(features)
    return keras.layers.ReLU()(features) if relu else features


def efficientnet_lite0(shape, stages):
    """EfficientNet-Lite0 without its classifier, for normalized images.

    Parameters
    ----------
    shape : tuple of int
    stages : sequence of tuple of int
        As `batch.networks.efficientnet.STAGES`.

    Returns
    -------
    keras.Model
        Its layers are called stem…, block0… and so on, and head…
    """
    inputs = keras.Input(shape)
    features = _relu6(inputs, keras.layers.Conv2D, "stem", 3, 2, filters=32)
    numbers = iter(range(sum(stage[0] for stage in stages)))
    for count, size, strides, expansion, filters in stages:
        for place in range(count):
            name = f"block{next(numbers)}"
            stride = 1 if place else strides
            branch = _bottleneck(features, name, size, stride, expansion, filters)
            features = keras.layers.Add(name=f"{name}_sum")([features, branch]) if place else branch
    features = _relu6(features, keras.layers.Conv2D, "head", 1, 1, filters=1280)
    return keras.Model(inputs, features, name="efficientnet_lite0")


def _bottleneck(features, name, size, strides, expansion, filters):
    if expansion > 1:
        wide = expansion * features.shape[-1]
        features = _relu6(features, keras.layers.Conv2D, f"{name}_expand", 1, 1, filters=wide)
    features = _relu6(features, keras.layers.DepthwiseConv2D, f"{name}_depthwise", size, strides)
    return _convolved(features, keras.layers.Conv2D, f"{name}_project", 1, 1, filters=filters)


def _relu6(*convolution, **options):
    return keras.layers.ReLU(6)(_convolved(*convolution, **options))


def _convolved(features, kind, name, size, strides, **options):
    convolution = kind(
        kernel_size=size, strides=strides, padding="same", use_bias=False, name=name, **options
    )
    return keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_norm")(convolution(features))
