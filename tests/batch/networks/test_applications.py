import re

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from batch.networks.applications import ALIASES, WeightsError, application, functions
from batch.networks.keras_models import as_blocks, block_ends
from research.names import APPLICATIONS

SHAPE = (64, 64, 3)
COMPUTED = ["resnet50", "mobilenetv3small", "mobilenetv2", "densenet121", "efficientnetb0"]


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """Lets a network of a name have random weights in place of those that Keras downloads."""

    def give(name):
        keras.utils.set_random_seed(0)
        make = functions()[ALIASES.get(name, name)]
        model = make(weights=None, include_top=False, pooling="avg", input_shape=(None, None, 3))
        path = str(tmp_path / "notop.weights.h5")
        model.save_weights(path)
        monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: path)
        return model, make

    return give


@pytest.mark.parametrize("name", COMPUTED)
def test_blocks_compute_what_keras_does_of_preprocessed_images(name, weights):
    model, make = weights(name)
    (*blocks, classifier), normalize = application(name)
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype(np.float32)
    module = __import__(make.__module__, fromlist=["preprocess_input"])
    expected = model(module.preprocess_input(images.copy()), training=False)
    features = (images / 255 - normalize["mean"]) / normalize["std"]
    for block in blocks:
        features = block(features, training=False)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    assert len(blocks) > 4
    assert isinstance(classifier, keras.layers.Dense)


def test_names_do_not_depend_on_what_was_made_before(weights):
    weights("mobilenetv3small")
    names = [
        [part.name for layer in application(name)[0] for part in layer._flatten_layers()]
        for name in ["mobilenetv3small"] * 2
    ]
    assert names[0] == names[1]
    assert "activation" in names[0]  # where Keras' counting begins
    assert keras.layers.Activation("relu").name != "activation"  # it goes on after ours


def test_every_name_is_of_a_network():
    ours = {ALIASES.get(name, name) for name in APPLICATIONS}
    assert ours == {name for name in functions() if not name.startswith("nasnet")}  # fixed size


def test_what_can_be_done_without_a_download_is_said(monkeypatch, tmp_path):
    def fails(*_, **__):
        raise Exception(
            "URL fetch failure on https://example.org/resnet50_notop.h5: None -- no net"
        )

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(file_utils, "get_file", fails)
    place = re.escape(str(tmp_path / "models"))
    with pytest.raises(WeightsError, match=rf"no net\). Put resnet50_notop.h5 in {place}; or go"):
        application("resnet50")


@pytest.mark.parametrize("add", [keras.layers.Add(), lambda pair: keras.ops.add(*pair)])
def test_residual_blocks_end_after_their_sums(add):
    layers, inputs = keras.layers, keras.Input((8, 8, 2))
    stem = layers.Conv2D(2, 3, padding="same", name="stem")(inputs)
    summed = add([stem, layers.Conv2D(2, 3, padding="same")(stem)])
    active = layers.ReLU(name="active")(summed)
    second = layers.Add(name="second")([active, layers.Conv2D(2, 1)(active)])
    norm = layers.BatchNormalization(name="norm")(second)
    pooled = layers.GlobalAveragePooling2D(name="pool")(norm)
    model = keras.Model(inputs, layers.Dense(3, name="head")(pooled))
    assert block_ends(model) == ["stem", "active", "second"]
    names = [block.name for block in as_blocks(model)]
    assert names == ["stem", "active", "second", "pool", "head"]


def test_others_end_before_images_become_smaller():
    layers, inputs = keras.layers, keras.Input((None, None, 2))
    first = layers.Conv2D(2, 3, padding="same", name="first")(inputs)
    pooled = layers.MaxPooling2D(name="pool")(first)
    both = layers.Concatenate(name="both")([pooled, layers.Conv2D(2, 1, name="one")(pooled)])
    padded = layers.ZeroPadding2D(name="pad")(both)
    strided = layers.Conv2D(2, 3, strides=2, name="strided")(padded)
    mean = layers.GlobalAveragePooling2D(name="mean")(strided)
    model = keras.Model(inputs, layers.Dense(3, name="head")(mean))
    assert block_ends(model) == ["first", "both", "strided"]
    assert [block.name for block in as_blocks(model)][-2:] == ["mean", "head"]
