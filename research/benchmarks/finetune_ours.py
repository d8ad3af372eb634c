"""Fine-tuning with a `TFModel` or a `BlockModel`, whose frozen blocks are read from the cache."""

import keras
import numpy as np

from batch import BlockModel, TFModel, as_blocks
from batch.networks.copies import with_new_classifier
from batch.networks.efficientnet import efficientnet_lite0 as lite0
from research.benchmarks import stock
from research.benchmarks.finetune_case import CLASSES, Case
from research.benchmarks.finetune_keras import accuracy


def tuned(cache, **case):
    """A function that fine-tunes with a new classifier, then with the last stage, too."""
    case = Case(**case)

    def run():
        base, last = BASES[case.base](case)
        images, labels = case.examples("train")
        frozen = [layer.name for layer in base[:-1]]
        with case.phase() as made:
            model = _model(case, "base", base, 0, freeze=frozen, cache=cache)
            made["losses"] = _trained(model, case, case.epochs, images, labels)
        made["accuracy"] = _accuracy(model, case)
        if case.further:
            rest = [name for name in frozen if name not in last]
            with case.phase() as made:
                options = {"freeze": rest, "inference_mode": last, "cache": cache}
                model = _model(case, "network", model.network, 1, **options)
                made["losses"] = _trained(model, case, case.further, images, labels)
            made["accuracy"] = _accuracy(model, case)
        return case.phases

    return run


def under_fit(**case):
    """A function that fits a `BlockModel` with a new classifier on the frozen base."""
    case = Case(**case)

    def run():
        base, _ = BASES[case.base](case)
        images, labels = case.examples("train")
        with case.phase() as made:
            blocks = with_new_classifier(base, CLASSES, case.seed)
            layers = [keras.Input(case.shape), *_entrance(case.normalize), *blocks]
            model = BlockModel(keras.Sequential(layers))
            model.compile(
                keras.optimizers.Adam(case.rates[0]),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                freeze=[block.name for block in base[:-1]],
            )
            lengths = {"batch_size": case.batch_size, "epochs": case.epochs}
            made["waited"] = stock.fit(model, images, labels, **lengths)
        made["accuracy"] = accuracy(model, case.examples("test"))
        return case.phases

    return run


def _entrance(normalize):
    """Layers that do with images what a `TFModel` does before the first block."""
    layers = [keras.layers.Rescaling(1 / 255)]
    if normalize:
        variance = np.square(normalize["std"])
        layers.append(keras.layers.Normalization(mean=normalize["mean"], variance=variance))
    return layers


def _model(case, kind, network, phase, **options):
    config = {
        "inputs": {"images": {"shape": case.shape}, "labels": {"classes": CLASSES}},
        "optimizer": ("Adam", {"learning_rate": case.rates[phase]}),
        "seed": case.seed,
        kind: network,
        **({"normalize": case.normalize} if case.normalize else {}),
    }
    return TFModel({**config, **options})


def _trained(model, case, epochs, images, labels):
    batches = case.batches(epochs, len(images))
    losses = [float(model.train(images, labels, rows=rows)) for rows in batches]
    model.trainer.settle()
    return losses


def _accuracy(model, case):
    test = case.examples("test")
    return float(model.predict(*test, fetches="output_accuracy")) if test else None


def _resnet50(case):
    """Blocks of `keras.applications.ResNet50`, and the names of those of the last stage."""
    keras.utils.set_random_seed(case.seed)
    model = keras.applications.ResNet50(
        weights=None, input_shape=case.shape, classes=CLASSES, classifier_activation=None
    )
    ends = ("conv2_block3", "conv3_block4", "conv4_block6")
    return as_blocks(model, ["pool1_pool", *(f"{end}_out" for end in ends), "avg_pool"]), [
        "avg_pool"
    ]


def _efficientnet(case):
    layers = lite0(tuple(case.shape), CLASSES, dropout=0.0, seed=case.seed).layers
    arrays = iter(case.weights())
    for convolution, normalization in convolutions(layers):
        convolution.set_weights([next(arrays)])
        normalization.set_weights([next(arrays) for _ in range(4)])
    return layers, [layer.name for layer in layers[-3:-1]]


def convolutions(layers):
    """Convolutions of an EfficientNet's blocks and their normalizations, in their order."""
    for layer in layers[:-1]:
        if hasattr(layer, "convolution"):
            yield layer.convolution, layer.normalization
        else:
            yield from zip(layer.convolutions, layer.normalizations)


BASES = {"resnet50": _resnet50, "efficientnet_lite0": _efficientnet}
