import json
import zipfile

import numpy as np
import pytest

from batch import Constant, ResNet, TFModel

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
SCHEDULE = ("FreezeOut", {"iterations": 6, "learning_rate": 0.05, "t_0": 0.5, "degree": 1})


def test_a_loaded_model_goes_on_like_an_uninterrupted_one(make, examples, tmp_path):
    model = make(optimizer=("SGD", {"momentum": 0.9, "nesterov": True}), schedule=SCHEDULE)
    for _ in range(4):
        model.train(*examples)
    model.save(tmp_path / "sub" / "model.zip")
    loaded = TFModel({"load": {"path": tmp_path / "sub" / "model.zip"}, "build": None})
    assert loaded.iteration == 4
    for _ in range(4):
        assert loaded.train(*examples) == model.train(*examples)
        assert loaded.frozen == model.frozen
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["model.zip"]


def test_load_into_a_model_that_exists(make, examples, tmp_path):
    model = make(optimizer="Adam", learning_rate=0.003)
    for _ in range(2):
        model.train(*examples)
    model.save(tmp_path / "model.zip")
    expected = [model.train(*examples) for _ in range(2)]
    model.load(tmp_path / "model.zip")
    assert [model.train(*examples) for _ in range(2)] == expected


def test_what_cannot_be_saved_is_given_again(make, examples, tmp_path):
    model = make(schedule=Constant(3, 0.01))
    model.train(*examples)
    model.save(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert json.loads(archive.read("config.json"))["left_out"] == ["schedule"]
    with pytest.raises(ValueError, match="without its schedule"):
        TFModel({"load": {"path": tmp_path / "model.zip"}})
    loaded = TFModel({"load": {"path": tmp_path / "model.zip"}, "schedule": Constant(3, 0.01)})
    assert loaded.train(*examples) == model.train(*examples)


def test_files_that_do_not_fit_are_refused(make, tmp_path):
    make(optimizer="Adam").save(tmp_path / "model.zip")
    with pytest.raises(ValueError, match="slots of another optimizer than FusedSGD"):
        make(optimizer="SGD").load(tmp_path / "model.zip")
    whole = (tmp_path / "model.zip").read_bytes()
    for name, contents in (("half.zip", whole[: len(whole) // 2]), ("junk.zip", b"junk")):
        (tmp_path / name).write_bytes(contents)
        with pytest.raises(ValueError, match=f"{name} is no model"):
            make().load(tmp_path / name)
    with pytest.raises(ValueError, match="is no model"):
        make().load(tmp_path / "missing.zip")


def test_a_file_that_is_refused_leaves_the_model_as_it_is(make, examples, tmp_path):
    model = make(optimizer="SGD")
    make(optimizer="Adam").save(tmp_path / "adam.zip")
    model.train(*examples)
    network = model.network
    with pytest.raises(ValueError, match="slots of another optimizer"):
        model.load(tmp_path / "adam.zip")
    assert model.network is network
    assert model.iteration == 1


def test_the_network_of_a_file_stays_as_it_was_made(make, tmp_path):
    make().save(tmp_path / "model.zip")
    with pytest.raises(ValueError, match=r"and survival can't change it. Received: survival=0\.5"):
        TFModel({"load": {"path": tmp_path / "model.zip"}, "survival": 0.5})
    other = {**INPUTS, "images": {"shape": (9, 9, 1)}}
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\), and 'inputs' says \(9, 9, 1\)"):
        TFModel({"load": {"path": tmp_path / "model.zip"}, "inputs": other})


def test_a_model_that_was_given_a_network_is_reset_to_it(blocks, examples, tmp_path):
    inputs = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": np.int64(3)}}
    model = ResNet({"inputs": inputs, "network": blocks()})
    model.train(*examples)
    model.save(tmp_path / "model.zip")
    loaded = ResNet({"load": {"path": tmp_path / "model.zip"}})
    loaded.reset()
    assert [layer.name for layer in loaded.network.layers] == [
        layer.name for layer in model.network.layers
    ]
    assert loaded.iteration == 0
