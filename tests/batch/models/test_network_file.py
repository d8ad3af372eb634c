import shutil
import zipfile

import keras
import numpy as np
import pytest

from batch import TFModel
from batch.models.network import read_layers

L = keras.layers
CONFIG = {"inputs": {"rows": {"shape": (4,), "classes": 3}}}
ROWS = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)


def activation(inputs):
    return inputs * 2


class Scaled(L.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor


def layers():
    return [Scaled(3.0), keras.Sequential([Scaled()]), L.Dense(3, activation=activation)]


@pytest.fixture
def saved(tmp_path):
    model = TFModel({**CONFIG, "network": layers()})
    model.train(ROWS, np.arange(8) % 3)
    model.save(tmp_path / "model")
    model.network.save(tmp_path / "network.keras")
    return model, tmp_path / "model"


@pytest.mark.parametrize("key", ["network", "base"])
def test_layers_that_keras_does_not_know_are_given_again_or_named(saved, key):
    model, path = saved
    with pytest.raises(
        ValueError, match=r"model can't be read\. Keras doesn't know Scaled and act"
    ):
        TFModel({"load": {"path": path}})
    for loaded in (TFModel({key: layers(), "load": {"path": path}}), model):
        loaded.load(path)
        assert loaded.iteration == 1
        np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))
    known = {"Scaled": Scaled, "activation": activation}
    with keras.saving.custom_object_scope(known):
        loaded = TFModel({"load": {"path": path}})
        loaded.reset()
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))


def test_a_file_of_keras_says_what_it_lacks_too(saved):
    path = saved[1].parent / "network.keras"
    with pytest.raises(ValueError, match=r"network\.keras can't be read\. Keras doesn't know Scal"):
        TFModel({**CONFIG, "base": path})
    with keras.saving.custom_object_scope({"Scaled": Scaled, "activation": activation}):
        assert len(read_layers(path)) == 3


def test_a_file_with_a_lambda_runs_nothing(tmp_path):
    network = keras.Sequential([keras.Input((4,)), L.Lambda(lambda x: x), L.Dense(3)])
    network.save(tmp_path / "network.keras")
    with pytest.raises(ValueError, match=r"can't be read\. It has code, as a Lambda"):
        TFModel({**CONFIG, "network": tmp_path / "network.keras"})


def rewritten(path, change):
    """The file with its arrays of the network changed; None leaves them out."""
    old = path.with_suffix(".old")
    shutil.move(path, old)
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            if name != "network.npz":
                target.writestr(name, source.read(name))
        if change is not None:
            with np.load(source.open("network.npz")) as arrays:
                changed = {key: change.get(key, value) for key, value in arrays.items()}
            np.savez(old.with_name("network.npz"), **changed)
            target.write(old.with_name("network.npz"), "network.npz")


def test_a_network_that_comes_back_as_another_is_refused(saved):
    _, path = saved
    with zipfile.ZipFile(path) as archive, np.load(archive.open("network.npz")) as arrays:
        expected = arrays["check/outputs"]
    rewritten(path, {"check/outputs": expected * (1 + 1e-5)})  # another machine
    assert TFModel({"network": layers(), "load": {"path": path}}).iteration == 1
    rewritten(path, {"check/outputs": expected * 1.01})
    with pytest.raises(ValueError, match=r"model computes something else than .* off by 0\.0099"):
        TFModel({"network": layers(), "load": {"path": path}})


def test_files_of_earlier_versions_are_read(saved):
    model, path = saved
    rewritten(path, None)
    loaded = TFModel({"network": layers(), "load": {"path": path}})
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))


def test_what_is_not_trainable_within_a_block_is_not_so_after_loading(tmp_path, blocks):
    network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    network.layers[1].convolutions[1].trainable = False
    network.layers[3].dense.bias.trainable = False
    inputs = {"images": {"shape": (8, 8, 1), "classes": 3}}
    model = TFModel({"inputs": inputs, "network": network})
    model.save(tmp_path / "model")
    loaded = TFModel({"load": {"path": tmp_path / "model"}})
    loaded.reset()
    for read in (model, loaded):
        flags = [weight.trainable for weight in read.network.weights]
        assert flags == [weight.trainable for weight in network.weights]


@pytest.mark.parametrize("size", [8, None])
def test_a_file_of_a_network_alone_is_a_model(size, tmp_path):
    images = np.random.default_rng(0).random((6, 8, 8, 3), dtype=np.float32)
    blocks = [L.Conv2D(4, 3), keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(3)])]
    network = keras.Sequential([keras.Input((size, size, 3)), *blocks])
    network.save(tmp_path / "network.keras")
    model = TFModel(tmp_path / "network.keras")
    expected = network(images).numpy()
    np.testing.assert_allclose(model.predict(images), expected, rtol=0, atol=1e-6)
    assert np.isfinite(model.train(images, np.arange(6) % 3))
    model.save(tmp_path / "model")
    assert TFModel(tmp_path / "model").iteration == 1


def test_a_file_of_another_kind_of_network_is_no_model(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, L.Dense(3)(inputs)).save(tmp_path / "functional.keras")
    with pytest.raises(ValueError, match=r"functional\.keras is no file of a network of blocks"):
        TFModel(tmp_path / "functional.keras")
    keras.Sequential([L.Dense(3), L.Dense(2)]).save(tmp_path / "unbuilt.keras")
    with pytest.raises(ValueError, match=r"unbuilt\.keras has no shapes: give it as 'network'"):
        TFModel(tmp_path / "unbuilt.keras")
