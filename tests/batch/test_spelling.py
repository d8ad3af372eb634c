"""What was meant by names that are not known: keys of configs, and names in their values."""

import pandas as pd
import pytest

from batch import ResNet, WideResNet
from batch.data.data import load_data
from batch.data.history import read_histories
from batch.schedules import make_schedule
from batch.spelling import did_you_mean
from batch.training.optimizers import make_optimizer

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


def test_only_names_that_are_near_are_offered():
    assert did_you_mean("Adamm", ["SGD", "Adam"]) == ". Did you mean 'Adam'?"
    assert did_you_mean(["stpe", "seed", "xyz"], ["step", "seeds"]) == (
        ". Did you mean 'step' and 'seeds'?"
    )
    assert did_you_mean("xyz", ["step", "seed"]) == did_you_mean([], ["step"]) == ""


@pytest.mark.parametrize(
    ("config", "meant"),
    [
        ({"optimiser": "SGD"}, "optimizer"),
        ({"learningrate": 0.1}, "learning_rate"),
        ({"inputs": {"images": {"shpae": (8, 8, 1)}, "labels": {"classes": 3}}}, "shape"),
        ({"inputs": {"images": {"shape": (8, 8, 1)}, "labels": {"class": 3}}}, "classes"),
        ({"normalize": {"mean": [0.5], "sdt": [0.5]}}, "std"),
        ({"augment": {"pads": 2}}, "pad"),
        ({"optimizer": "Adm"}, "Adam"),
        ({"optimizer": ("SGD", {"momentun": 0.9})}, "momentum"),
        ({"optimizer": {"name": "SGD", "nestrov": True}}, "nesterov"),
        ({"schedule": ("FreezOut", {})}, "FreezeOut"),
        ({"schedule": ("Constant", {"learningrate": 0.1})}, "learning_rate"),
        ({"schedule": ("FreezeOut", {"iterations": 5, "learning_rate": 1, "t0": 1})}, "t_0"),
        ({"output": {"ops": ["acuracy"]}}, "accuracy"),
        ({"freeze": ["blok0"]}, "block0"),
        ({"frozen_batch_norm": "inferense"}, "inference"),
        ({"depthwise_gradient": "by_shapes"}, "by_shape"),
    ],
)
def test_a_config_says_which_key_or_name_was_meant(config, meant):
    with pytest.raises(ValueError, match=rf"Did you mean '{meant}'"):
        ResNet({"inputs": INPUTS, **config})


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: WideResNet({"inputs": INPUTS, "widen_facto": 2}), "widen_factor"),
        (lambda: WideResNet({"inputs": INPUTS, "depth": 10, "block": "B(3,3"}), r"B\(3,3\)"),
        (lambda: load_data("minst"), "mnist"),
        (lambda: make_optimizer("rms_prop"), "RMSprop"),
        (lambda: make_schedule(("Anealed", {}), 3), "Annealed"),
    ],
)
def test_calls_say_which_name_was_meant(call, meant):
    with pytest.raises(ValueError, match=rf"Did you mean '{meant}'"):
        call()


@pytest.mark.parametrize(
    ("fetch", "meant"),
    [
        ("prediction", "predictions"),
        ("output_acc", "output_accuracy"),
        ("output_top5", "output_top_5"),
        (["loss", "output_label"], "output_labels"),
    ],
)
def test_fetches_and_feeds_say_which_was_meant(examples, blocks, fetch, meant):
    from batch import TFModel

    model = TFModel({"inputs": INPUTS, "network": blocks()})
    with pytest.raises(ValueError, match=rf"Did you mean '{meant}'\?"):
        model.predict(*examples, fetches=fetch)
    feed = {"image": examples[0], "labels": examples[1]}
    with pytest.raises(ValueError, match=r"Unknown names in the feed: image.* mean 'images'"):
        model.train(feed_dict=feed)


def test_a_column_of_another_name_is_named(tmp_path):
    rows = {"method": ["a"], "seed": [0], "iteration": [0], "loss": [1.0], "second": [1.0]}
    pd.DataFrame({**rows, "frozen": [0]}).to_csv(tmp_path / "results.csv", index=False)
    with pytest.raises(ValueError, match=r"Missing: seconds\. Did you mean 'second'"):
        read_histories(tmp_path / "results.csv")


def test_a_schedule_for_another_number_of_blocks_is_refused():
    arguments = {"blocks": 4, "learning_rate": 0.1}
    assert make_schedule(("Constant", arguments), 4).blocks == 4
    with pytest.raises(ValueError, match=r"The network has 5 blocks .* a schedule for 4"):
        make_schedule(("Constant", arguments), 5)
