import math

import pytest
from batchflow import C, Config

from batch.checks import not_negative, read_config


def test_numbers_of_zero_or_more():
    assert [not_negative("it", value) for value in (0, 1e-4)] == [0.0, 1e-4]
    for value in (-1, math.nan, True, False, "0"):
        with pytest.raises(ValueError, match="it must be a finite number, 0 or more"):
            not_negative("it", value)


def test_expressions_that_nobody_evaluated_are_named_by_their_key():
    config = {"optimizer": ("SGD", {"learning_rate": C("rate")})}
    with pytest.raises(
        ValueError, match=r"config/optimizer/learning_rate is a named expression, C\('rate'\)"
    ):
        read_config(config, {"optimizer": None}, "x")


def test_a_config_is_read_as_plain_dicts():
    config = Config({"inputs/images/shape": (8, 8), "loss": ("mse", Config({"axis": 1}))})
    read = read_config(config, {"inputs": {"*": ["shape"]}, "loss": None}, "x")
    assert read == {"inputs": {"images": {"shape": (8, 8)}}, "loss": ("mse", {"axis": 1})}
    assert type(read["inputs"]["images"]) is type(read["loss"][1]) is dict
