"""Images, classes and widths that a network can't have are refused in one line."""

import pytest

from batch.networks import layers
from batch.networks.blocks import Classifier, ConvolutionBlock
from batch.networks.densenet import Transition, densenet
from batch.networks.efficientnet import efficientnet_lite0
from batch.networks.resnet import resnet, small_resnet
from batch.networks.vgg import vgg
from batch.networks.wide_resnet import wide_resnet

LEAST = {  # pixels of a side; and a network of the kind that is quickly made
    "small_resnet": (3, small_resnet),
    "resnet": (1, lambda *images: resnet(18, *images)),
    "wide_resnet": (1, lambda *images: wide_resnet(*images, 10, 1)),
    "densenet": (4, lambda *images: densenet(*images, 10, 2)),
    "vgg": (1, lambda *images: vgg(*images, 11)),
    "efficientnet_lite0": (1, efficientnet_lite0),
}


@pytest.mark.parametrize("name", LEAST)
def test_the_smallest_image_has_an_answer_and_a_smaller_one_is_refused(name):
    least, make = LEAST[name]
    made = make((least, least, 1), 2)
    assert made.output_shape == (None, 2)
    for shape in [(least - 1, least, 1), (least, least - 1, 1), (least, least), (least, least, 0)]:
        with pytest.raises(
            ValueError, match=r"^input_shape must be \(H, W, C\), of .*×. pixels\. R"
        ):
            make(shape, 2)


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("classes", [0, 1, -1, 2**24 + 1])
def test_a_network_has_two_classes_at_least(name, classes):
    with pytest.raises(
        ValueError, match=r"^classes must be a whole number of at least 2.*Received"
    ):
        LEAST[name][1]((8, 8, 1), classes)


def test_blocks_refuse_images_that_they_would_pool_away():
    with pytest.raises(
        ValueError, match=r"small halves images: .* Received: input_shape=\(None, 1, 5"
    ):
        Transition(2, name="small").build((None, 1, 5, 3))
    with pytest.raises(ValueError, match=r"small pools 2×2 pixels: .* Received: input_shape="):
        ConvolutionBlock(2, pool_size=2, name="small").build((None, 5, 1, 3))


def test_weights_that_do_not_fit_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr("batch.networks.arguments.free_memory", lambda: 4000)
    with pytest.raises(ValueError, match=r"of 200 filters is too large: it has 3,600 weights of 4"):
        ConvolutionBlock(200).build((None, 4, 4, 2))
    with pytest.raises(ValueError, match=r"of 1,001 units is too large"):
        Classifier(1001).build((None, 4, 4, 1))


@pytest.mark.parametrize("name", ["DenseNet", "ResNet"])
def test_a_model_says_it_in_its_own_line(name):
    from batch.models import named

    inputs = {"images": {"shape": (2, 2)}, "labels": {"classes": 3}}
    with pytest.raises(ValueError, match=r"^input_shape must be .* Received: "):
        getattr(named, name)({"inputs": inputs})


def test_seeds_of_networks_are_whole_numbers():
    assert layers.make_seeds(2**63 - 1, 2) != layers.make_seeds(0, 2)
    assert layers.make_seeds(None, 2) != layers.make_seeds(None, 2)  # drawn anew
    for seed in (-1, 0.5, [[1]], 2**63):
        with pytest.raises(ValueError, match=r"^seed must be a whole number, 0 or more"):
            small_resnet((8, 8, 1), 2, seed=seed)
