import pytest
from batchflow import C, Config

from batch import ResNet
from batch.checks import read_config

INPUTS = {"images": {"shape": (8, 8)}, "labels": {"classes": 3}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depths": 3}, "config of ResNet: depths. Known keys: augment, base, build, cache, fr"),
        ({"input_block": {"input": "images"}}, "config of input_block: input. Known keys: inputs"),
        ({"input_block/input": "images"}, "config of input_block: input"),
        ({"inputs": {"images": {"shapes": 8}}}, "config of inputs/images: shapes. Known keys: cl"),
        ({"normalize": {"average": [0]}}, "config of normalize: average. Known keys: mean, std"),
        ({"augment": {"crop": 4}}, "config of augment: crop. Known keys: flip, pad"),
        ({"load": {"file": "x"}}, "config of load: file. Known keys: path"),
    ],
)
def test_unknown_keys_are_refused_at_every_depth(config, message):
    with pytest.raises(ValueError, match=message):
        ResNet({"inputs": INPUTS, **config})


def test_expressions_that_nobody_evaluated_are_named_by_their_key():
    config = {"optimizer": ("SGD", {"learning_rate": C("rate")})}
    with pytest.raises(ValueError, match="config/optimizer/learning_rate is a named expression"):
        read_config(config, {"optimizer": None}, "x")


def test_a_config_is_read_as_plain_dicts():
    config = Config({"inputs/images/shape": (8, 8), "loss": ("mse", Config({"axis": 1}))})
    read = read_config(config, {"inputs": {"*": ["shape"]}, "loss": None}, "x")
    assert read == {"inputs": {"images": {"shape": (8, 8)}}, "loss": ("mse", {"axis": 1})}
    assert type(read["inputs"]["images"]) is type(read["loss"][1]) is dict
