"""Fine-tuning in stock Keras, on any backend: by `fit`, and from features computed once."""

import keras
import numpy as np

from research.benchmarks import stock
from research.benchmarks.finetune_case import CLASSES, Case


def fitted(**case):
    """A function that fits a new classifier on the frozen base, then with the last stage, too."""
    case = Case(**case)

    def run():
        base = _base(case)
        examples, test = case.examples("train"), case.examples("test")
        with case.phase() as made:
            base.trainable = False
            inputs, features = _features(case, base)
            model = keras.Model(inputs, keras.layers.Dense(CLASSES)(features))
            made["waited"] = _fit(model, case, 0, *examples)
        made["accuracy"] = accuracy(model, test)
        if case.further:
            with case.phase() as made:
                base.trainable = True
                for layer in base.layers:
                    layer.trainable = layer.name.startswith(tuple(case.last))
                made["waited"] = _fit(model, case, 1, *examples)
            made["accuracy"] = accuracy(model, test)
        return case.phases

    return run


def from_features(**case):
    """A function that computes features once, by `predict`, and trains a classifier on them."""
    case = Case(**case)

    def run():
        base = _base(case)
        (images, labels), test = case.examples("train"), case.examples("test")
        with case.phase() as made:
            to_features = keras.Model(*_features(case, base))
            features = to_features.predict(images, batch_size=case.batch_size, verbose=0)
            head = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(CLASSES)])
            made["waited"] = _fit(head, case, 0, features, labels)
        if test:
            features = to_features.predict(test[0], batch_size=case.batch_size, verbose=0)
            made["accuracy"] = accuracy(head, (features, test[1]))
        return case.phases

    return run


def _features(case, base):
    """Images, and what the base in inference mode makes of them, pooled."""
    inputs = keras.Input(case.shape)
    images = keras.layers.Rescaling(1 / 255)(inputs)
    if case.normalize:
        mean, variance = case.normalize["mean"], np.square(case.normalize["std"])
        images = keras.layers.Normalization(mean=mean, variance=variance)(images)
    return inputs, keras.layers.GlobalAveragePooling2D()(_Inference(base)(images))


class _Inference(keras.layers.Layer):
    """A base that is called with `training=False`.

    Called so in a functional model, it would run in training mode when `fit` trains the model: in
    Keras 3.15 the mode of the whole takes precedence.
    """

    def __init__(self, base):
        super().__init__()
        self.base = base

    def call(self, inputs):
        """What the base computes in inference mode."""
        return self.base(inputs, training=False)


def _fit(model, case, phase, inputs, labels):
    model.compile(
        keras.optimizers.Adam(case.rates[phase]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    epochs = (case.epochs, case.further)[phase]
    return stock.fit(model, inputs, labels, batch_size=case.batch_size, epochs=epochs)


def accuracy(model, test):
    """The share of test examples that a model is right about; None without any."""
    if not test:
        return None
    return float(np.mean(model.predict(test[0], verbose=0).argmax(1) == test[1]))


def _base(case):
    keras.utils.set_random_seed(case.seed)
    return BASES[case.base](case)


def _resnet50(case):
    return keras.applications.ResNet50(weights=None, input_shape=case.shape, include_top=False)


def _efficientnet(case):
    base = stock.efficientnet_lite0(case.shape, case.stages)
    arrays = iter(case.weights())
    for layer in base.layers:
        layer.set_weights([next(arrays) for _ in layer.weights])
    return base


BASES = {"resnet50": _resnet50, "efficientnet_lite0": _efficientnet}
