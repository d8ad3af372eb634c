import json

import keras
import numpy as np
import pandas as pd
import pytest

from batch.models.network_file import write_keras_file
from research.cli import main, make_parser
from research.experiments import recipes
from research.studies import frontier


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A file with a network of two blocks for colour images."""
    layers = keras.layers
    start = [keras.Input((None, None, 3)), layers.Conv2D(4, 3, strides=2, name="one")]
    rest = [layers.Conv2D(5, 1, name="two"), layers.GlobalAveragePooling2D(), layers.Dense(7)]
    path = tmp_path_factory.mktemp("base") / "tiny.keras"
    write_keras_file(path, keras.Sequential([*start, *rest]))
    return str(path)


def settings(out):
    return json.loads((out / "experiment.json").read_text())["settings"]


def test_training_on_a_frozen_base(colours, base, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["train", "--data", colours, "--base", base, "--freeze-first", "1", "--epochs", "2"]
    options += ["--method", "annealed", "--cache", "memory", "--train-images", "30"]
    options += ["--test-images", "6", "--image-size", "11", "--batch-size", "10"]
    assert main([*options, "--out", str(out)]) == 0
    assert "colours: 30 + 6 images of 11×11×3" in capsys.readouterr().err
    expected = {"base": base, "freeze_first": 1, "image_size": 11, "train_images": 30}
    expected |= {"test_images": 6, "cache": "memory", "learning_rate": 0.002, "momentum": 0.9}
    assert {name: settings(out)[name] for name in expected} == expected
    assert len(settings(out)["base_sha256"]) == 64
    assert not {"model", "finetune_rate"} & settings(out).keys()
    assert pd.read_csv(out / "results.csv").frozen.tolist() == [1] * 6
    record = json.loads((out / "experiment.json").read_text())
    assert record["runs"][0]["cache"]["hits"] == 30
    assert record["predicted_ratio"]["annealed"] < 1
    assert [path.stem for path in out.glob("*.jsonl")] == [
        "tiny_first1_annealed_seed0_epochs2_colours_log"
    ]
    trained = keras.saving.load_model(out / "model.keras")
    first = keras.saving.load_model(base).layers[0].get_weights()
    np.testing.assert_array_equal(trained.layers[0].get_weights()[0], first[0])
    assert main([*options, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert f"network: {base}\nparameters: " in printed
    assert printed.split("\none ")[1].split()[2:4] == ["0", "0.00"]


def test_the_study_of_the_frontier(colours, base, tmp_path, capsys, fails, monkeypatch):
    monkeypatch.setattr(frontier, "SHORTER", (0.5,))
    monkeypatch.setattr(frontier, "SCHEDULES", (("linear", 0.05),))
    out = tmp_path / "out"
    options = ["compare", "--study", "frontier", "--data", colours, "--base", base, "--seeds", "2"]
    options += ["--train-images", "30", "--test-images", "9", "--image-size", "9"]
    options += ["--iterations", "6", "--batch-size", "10", "--out", str(out)]
    assert "at most the 2 blocks of tiny. Received: 3" in fails(1, *options, "--freeze-first", "3")
    assert main([*options, "--freeze-first", "0,2"]) == 0
    assert "No other run is faster and on average" in capsys.readouterr().out
    assert pd.read_csv(out / "study.csv").run.tolist() == [
        *("annealed K=0", "annealed K=2, rate 0.02", "annealed K=0, 0.5 of the iterations"),
        "freezeout linear, t_0 0.05",
    ]
    expected = {"study": "frontier", "base": base, "freeze_first": [0, 2], "image_size": 9}
    assert {name: settings(out)[name] for name in expected} == expected
    assert (out / "study.png").stat().st_size > 10_000
    losses = pd.read_csv(out / "results.csv").query("iteration == 0 and seed == 0").loss
    assert losses.nunique() == 1  # all begin with the same network and batch
    assert main(["report", str(out)]) == 0
    capsys.readouterr()


def test_several_numbers_of_frozen_blocks_make_the_frontier_of_ones_own_data(base, fails):
    arguments = ["compare", "--base", base, "--data", "digits", "--freeze-first", "0,1"]
    options = make_parser().parse_args(arguments)
    assert recipes.settle(options) == []
    expected = {"study": "frontier", "depths": (0, 1), "seeds": 3, "epochs": 6, "image_size": None}
    expected |= {"train_images": None, "test_images": None, "base": base, "data": "digits"}
    assert {name: getattr(options, name) for name in expected} == expected
    assert "several are for compare" in fails(2, *arguments, "--methods", "classic")
    assert "--study frontier has runs of its own: no --t-0" in fails(2, *arguments, "--t-0", "0.5")


@pytest.mark.parametrize("command", ["train", "compare"])
def test_defaults_of_fine_tuning(command):
    arguments = [command, "--base", "efficientnet-lite0"]
    options = make_parser().parse_args(arguments)
    assert recipes.settle(options) == []
    expected = {**recipes.FINE_TUNING, "freeze_first": 0, "model_options": {}, "model": "resnet"}
    assert {name: getattr(options, name) for name in expected} == expected
    assert options.iterations is None
    if command == "compare":  # nothing would be dropped
        assert "stochastic" not in {method.name for method in options.methods}


def test_the_cache_is_for_every_method_on_a_frozen_base(fails):
    arguments = ["train", "--method", "annealed", "--cache", "memory"]
    arguments += ["--base", "efficientnet-lite0", "--freeze-first"]
    assert recipes.settle(make_parser().parse_args([*arguments, "2"])) == []
    assert "--cache is for freezeout" in fails(2, *arguments, "0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "efficientnet-lite"], "or a file with a network). Did you mean 'efficientn"),
        (["--base", "nowhere.keras"], "'nowhere.keras' (choose from efficientnet-lite0, resnet50"),
        (["--freeze-first", "3,1"], "must be a whole number of 0 or more, or several that rise"),
        (["--freeze-first", "-1"], "or several that rise, not '-1'"),
        (["--freeze-first", "half"], "or several that rise, not 'half'"),
        (["--image-size", "0"], "must be a whole number above 0, not '0'"),
        (["--test-images", "0"], "must be a whole number above 0, not '0'"),
    ],
)
def test_values_that_are_none_are_refused(arguments, message, fails):
    assert message in fails(2, "train", *arguments)
