import copy
import pickle

import keras
import numpy as np
import pytest

from batch import Constant, ResNet18, TFModel, WideResNet

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
SMALL = {"inputs": INPUTS, "body": {"num_blocks": [1], "filters": [4]}}


class Doubling(keras.layers.Layer):
    """A layer that is not registered with Keras."""

    def call(self, inputs):
        return 2 * inputs


def flat_network():
    return [Doubling(), keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_predict_the_same_and_go_on_the_same(make, examples, copied):
    model = make(optimizer=("SGD", {"momentum": 0.9}), schedule=Constant(3, 0.05))
    model.train(*examples)
    twin = copied(model)
    np.testing.assert_array_equal(twin.predict(examples[0]), model.predict(examples[0]))
    assert twin.iteration == 1
    assert twin.network is not model.network
    assert [twin.train(*examples) for _ in range(2)] == [model.train(*examples) for _ in range(2)]
    assert type(twin.trainer.schedule) is Constant


def test_copies_of_layers_that_keras_does_not_know(examples):
    model = TFModel({"inputs": INPUTS, "network": flat_network()})
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(twin.predict(examples[0]), model.predict(examples[0]))


def test_a_model_that_waits_may_be_copied():
    model = pickle.loads(pickle.dumps(ResNet18({"classes": 3, "loss": "l1"})))
    assert model.config["loss"] == "mean_absolute_error"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "resnet"
    model = ResNet18(SMALL)
    model.save(path, pickle_metadata=False)  # it is there all the same
    return path, model


def test_a_model_that_waits_loads_a_file(stored, examples):
    path, model = stored
    expected = model.predict(examples[0])
    waiting = ResNet18()
    waiting.load(path=str(path), fmt="pt", pickle_module=pickle)
    np.testing.assert_array_equal(waiting.predict(examples[0]), expected)
    assert ResNet18({"classes": 3, "load/path": path}).classes == 3
    with pytest.raises(ValueError, match=r"must give 4 logits an image"):
        ResNet18({"classes": 4, "load/path": path})


def test_a_tfmodel_takes_the_network_of_a_subclass(stored, examples, tmp_path):
    path, model = stored
    expected = model.predict(examples[0])
    opened = TFModel({"load/path": path})
    opened.train(*examples)
    opened.save(tmp_path / "again")
    opened.reset()
    assert opened.iteration == 0
    for found in (opened, TFModel(path)):
        np.testing.assert_array_equal(found.predict(examples[0]), expected)
    assert TFModel(str(tmp_path / "again")).iteration == 1
    with pytest.raises(
        ValueError, match="has a network with num_blocks, filters, which WideResNet"
    ):
        WideResNet({"load/path": path})


def test_other_formats_are_refused(stored, tmp_path):
    path, model = stored
    for fmt in ("onnx", "openvino", "safetensors"):
        with pytest.raises(ValueError, match=f"fmt must be None. Received: '{fmt}'"):
            model.save(tmp_path / "other", fmt=fmt)
        with pytest.raises(ValueError, match=f"fmt must be None or pt. Received: '{fmt}'"):
            model.load(path, fmt=fmt)
    assert not (tmp_path / "other").exists()
