import copy
import io
import json
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from batch import BlockModel
from batch.models.network import read_layers

L = keras.layers
KERNEL = "layers/dense/vars/0"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The members of a small network's file."""
    path = tmp_path_factory.mktemp("keras") / "network.keras"
    layers = [L.Dense(3, name="a", activation="relu"), L.Dense(3, name="b")]
    keras.Sequential([keras.Input((4,)), *layers]).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def entry(name, config, module="keras.layers", **more):
    config = {"name": "x", **config}
    return {"module": module, "class_name": name, "config": config, "registered_name": None, **more}


def function(module, name):
    kind = {"class_name": "function", "registered_name": name}
    return {"module": module, "config": name, **kind}


def with_layer(layer):
    return lambda config: config["config"]["layers"].insert(1, layer)


def with_setting(**settings):
    return lambda config: config["config"]["layers"][1]["config"].update(settings)


CODE = ["4wA=", None, None]
CONFIGS = {
    "a module": (with_layer(entry("Thing", {}, "stranger")), "doesn't know Thing"),
    "a function": (with_setting(activation=function("stranger", "run")), "doesn't know run"),
    "its package": (with_layer(entry("Thing", {}, "keras_hub")), "doesn't know Thing"),
    "a module of Keras": (with_layer(entry("TestCase", {}, "keras.src.testing")), "no part of a"),
    "get_file": (with_setting(activation=function("keras.utils", "get_file")), "no part of a net"),
    "set_floatx": (with_setting(activation=function("keras.config", "set_floatx")), "no part of"),
    "eval": (with_setting(activation=function("builtins", "eval")), "doesn't know eval"),
    "a callback": (with_layer(entry("CSVLogger", {}, "keras.callbacks")), "no part of a network"),
    "Lambda": (with_layer(entry("Lambda", {"function": CODE})), "has code, as a Lambda"),
    "a lambda": (with_setting(activation={"class_name": "__lambda__", "config": {}}), "has code"),
    "PyTorch": (with_layer(entry("TorchModuleWrapper", {"module": "x"})), "runs what is no part"),
    "a SavedModel": (with_layer(entry("TFSMLayer", {"filepath": "x"}, "keras.export")), "runs wh"),
    "a vocabulary": (with_layer(entry("StringLookup", {"vocabulary": "/x"})), "reads another file"),
    "a huge type": (
        with_setting(units={"class_name": "__numpy__", "config": {"value": [1], "dtype": "U9999"}}),
        "a type that no network has",
    ),
    "many units": (
        lambda config: config["config"]["layers"][-1]["config"].update(units=10**9),
        "3,000,000,015 weights, which it|4,000,000,015 weights, which it",
    ),
}


def written(path, parts, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**parts, **members}.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("case", CONFIGS)
def test_nothing_is_made_but_what_keras_or_the_user_registered(tmp_path, parts, case):
    change, reason = CONFIGS[case]
    config = json.loads(parts["config.json"])
    change(config)
    path = written(tmp_path / "a.keras", {**parts, "config.json": json.dumps(config)})
    before = {*sys.modules}
    with pytest.raises(ValueError, match=rf"a\.keras can't be read\. .*({reason})"):
        read_layers(path)
    assert not {name for name in {*sys.modules} - before if name.startswith(("stra", "keras_"))}


def virtual(file):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4, 3))
    file.create_virtual_dataset(KERNEL, layout)


FAR = (10**5, 10**5)
WEIGHTS = {
    "compressed": lambda file: file.create_dataset(KERNEL, FAR, "f4", compression="gzip"),
    "filled": lambda file: file.create_dataset(KERNEL, FAR, "f4"),
    "external": lambda file: file.create_dataset(KERNEL, (4, 3), "f4", external=[("x", 0, 48)]),
    "virtual": virtual,
    "linked": lambda file: file.__setitem__(KERNEL, h5py.SoftLink("/layers")),
    "linked out": lambda file: file.__setitem__(KERNEL, h5py.ExternalLink("b.h5", "/x")),
    "texts": lambda file: file.create_dataset(KERNEL, (4, 3), h5py.string_dtype()),
    "a group": lambda file: file.__setitem__("layers/again", file["layers"]),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_lie_in_the_file_as_plain_arrays(tmp_path, parts, case):
    content = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        del file[KERNEL]
        WEIGHTS[case](file)
    members = {"model.weights.h5": content.getvalue()}
    with pytest.raises(ValueError, match=r"a\.keras can't be read\. Its weights (have|declare)"):
        read_layers(written(tmp_path / "a.keras", parts, **members))


@pytest.mark.parametrize("name", ["../a", "/tmp/a", "assets/../../a", "model.weights.npz"])
def test_members_are_those_that_keras_writes(tmp_path, parts, name):
    with pytest.raises(ValueError, match=r"can't be read\. It(s member| holds) '"):
        read_layers(written(tmp_path / "a.keras", parts, **{name: b"x"}))


def test_a_file_of_all_of_keras_is_read_and_leaves_nothing_behind(tmp_path):
    inputs = keras.Input((8, 8, 3))
    outputs = L.Conv2D(4, 3, kernel_initializer="he_normal", kernel_regularizer="l2")(inputs)
    outputs = L.Activation(keras.ops.relu)(outputs) + 1.0
    inner = keras.Model(inputs, L.GlobalAveragePooling2D()(outputs))
    network = keras.Sequential([keras.Input((8, 8, 3)), inner, L.Dropout(0.5), L.Dense(3)])
    network.compile("adam", "mse", metrics=["accuracy"])
    network.save(tmp_path / "a.keras")
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    layers = read_layers(tmp_path / "a.keras")
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for layer, read in zip(network.layers, layers):
        for weight, again in zip(layer.weights, read.weights, strict=True):
            np.testing.assert_array_equal(weight, again)


def test_a_block_model_makes_nothing_that_is_not_known():
    model = BlockModel([keras.Input((4,)), L.Dense(3, name="a"), L.Dense(3, name="b")])
    config = copy.deepcopy(model.get_config())
    config["network"]["config"]["layers"].insert(1, entry("Thing", {}, "stranger"))
    with pytest.raises(ValueError, match="Keras doesn't know Thing"):
        BlockModel.from_config(config)
