import numpy as np
import pytest

from batch import VGG, DenseNet, TFModel, WideResNet
from batch.networks.blocks import Classifier, ConvolutionBlock
from batch.networks.densenet import densenet
from batch.networks.efficientnet import InvertedResidual, LinearBottleneck
from batch.networks.layers import convolution, sequence
from batch.networks.stochastic_depth import with_stochastic_depth
from batch.networks.vgg import vgg
from batch.networks.wide_resnet import BLOCKS, PreActivationBlock, wide_resnet

SHAPE = (32, 32, 3)


class Bottlenecks(TFModel):
    """A network of EfficientNet's blocks."""

    def make_network(self, shape, classes, seed):
        stem = ConvolutionBlock(4, strides=2, activation="relu6", name="stem")
        blocks = [LinearBottleneck(4, name="narrow"), InvertedResidual(4, name="added")]
        classifier = Classifier(classes, dropout=0.2, hidden=(3,), seed=seed)
        return sequence("bottlenecks", shape, [stem, *blocks, classifier])


class PreActivations(TFModel):
    """A network of all types of a Wide ResNet's blocks."""

    def make_network(self, shape, classes, seed):
        blocks = [
            PreActivationBlock(4, 1 + (number == 1), kernel_sizes=sizes, name=f"block{number}")
            for number, sizes in enumerate(BLOCKS.values())
        ]
        classifier = Classifier(classes, normalize=True, seed=seed)
        return sequence("pre_activations", shape, [convolution(4, 3), *blocks, classifier])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: densenet(SHAPE, 10, 75), r"6n \+ 4 with bottlenecks. Received: 75"),
        (lambda: densenet(SHAPE, 10, 41, bottleneck=False), r"3n \+ 4 without bottlenecks"),
        (lambda: densenet(SHAPE, 10, growth_rate=0), "growth_rate must be a whole number above 0"),
        (lambda: densenet(SHAPE, 10, compression=1.5), "compression must be above 0"),
        (lambda: wide_resnet(SHAPE, 10, 30), r"6n \+ 4, as 16, 28 or 40. Received: 30"),
        (lambda: wide_resnet(SHAPE, 10, 16, 0), "widen_factor must be a whole number above 0"),
        (lambda: wide_resnet(SHAPE, 10, 16, 1, block="B(3)"), r"one of B\(3,3\), .*: 'B\(3\)'"),
        (lambda: vgg(SHAPE, 10, "C"), "one of A, B, D, E, or 11, 13, 16, 19. Received: 'C'"),
        (lambda: with_stochastic_depth(vgg((8, 8, 3), 3, "A").layers, 0.5), "needs residual"),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (DenseNet, {"depth": 10, "growth_rate": 4}),
        (WideResNet, {"depth": 10, "widen_factor": 1, "dropout": 0.3, "block": "B(3,1)"}),
        (PreActivations, {}),
        (VGG, {"depth": "A"}),
        (Bottlenecks, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_blocks_freeze_and_the_model_is_saved(model, options, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, 12)
    freezing = {"iterations": 6, "learning_rate": 0.01, "t_0": 0.3, "degree": 1}
    net = model(
        {
            "inputs": {"images": {"shape": (8, 8, 3)}, "labels": {"classes": 3}},
            "schedule": ("FreezeOut", freezing),
            "optimizer": ("SGD", {"momentum": 0.9, "nesterov": True}),
            "weight_decay": 1e-3,
            "augment": {"pad": 1, "flip": True},
            "normalize": {"mean": [0.5] * 3, "std": [0.25] * 3},
            **options,
        }
    )
    for _ in range(4):
        net.train(images, labels)
    before = [layer.get_weights() for layer in net.network.layers]
    net.train(images, labels)
    after = [layer.get_weights() for layer in net.network.layers]
    changed = [
        any(not np.array_equal(first, second) for first, second in zip(*pair))
        for pair in zip(before, after)
    ]
    assert net.frozen >= 2
    assert changed == [block >= net.frozen for block in range(len(changed))]
    net.save(tmp_path / "model")
    loaded = model({"load": {"path": tmp_path / "model"}})
    np.testing.assert_array_equal(loaded.predict(images), net.predict(images))
    assert loaded.config["augment"] == {"pad": 1, "flip": True}
    goes_on = [model.train(images, labels) for model in (net, loaded)]  # with the same dropout
    assert goes_on[0] == goes_on[1]
