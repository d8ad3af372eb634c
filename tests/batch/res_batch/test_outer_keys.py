"""Keys of a pipeline's config beside those of our models."""

import pytest
from batchflow import C

from batch import ResNet


@pytest.fixture
def trains(dataset, examples, steps, config):
    """A function: the iterations of the schedule that a pipeline with a config trains by."""
    layers = {"network": config["freeznet"]["network"]}

    def train(outer, name="freeznet", more=lambda pipeline: pipeline):
        settings = {
            key: {**layers, **value} if isinstance(value, dict) else value
            for key, value in outer.items()
        }
        pipeline = more(dataset.pipeline(config=settings).train_freez([], *examples, name=name))
        steps(pipeline, 1)
        return pipeline.m(name).trainer.schedule.iterations

    return train


@pytest.mark.parametrize("key", ["freeznet", "freezeout"])
def test_freezeout_is_another_key_of_freeznet(trains, key):
    assert trains({key: {"iteration": 7}}) == 7


def test_both_keys_of_one_model_are_refused(trains):
    with pytest.raises(ValueError, match=r"Give 'freeznet' or 'freezeout' .*, not both"):
        trains({"freeznet": {"iteration": 7}, "freezeout": {}})


def test_a_model_that_is_called_freezeout_has_its_own_key(trains):
    assert trains({"freeznet": {"iteration": 7}, "freezeout": {}}, name="freezeout") == 7
    assert trains({"freeznet": {}, "freezeout": {"iteration": 9}}, name="freezeout") == 9


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *(("freezenet", "freeznet"), ("freznet", "freeznet"), ("freez_net", "freeznet")),
        *(("FreezNet", "freeznet"), ("freezout", "freezeout"), ("FreezeOut", "freezeout")),
        *(("freeze-out", "freezeout"), ("resent", "resnet"), ("Resnet", "resnet")),
        *(("resnets", "resnet"), ("stochastics", "stochastic"), ("stochatic", "stochastic")),
        ("freezenet/iteration", "freeznet"),
    ],
)
def test_a_key_that_is_nearly_ours_is_refused(trains, key, meant):
    expected = rf"nothing uses: '{key.split('/')[0]}'\. Did you mean '{meant}'\?"
    with pytest.raises(ValueError, match=expected):
        trains({key: 7 if "/" in key else {}})


@pytest.mark.parametrize("key", ["rate", "frozen", "wide", "resnet18", "resnet_a", "net", "data"])
def test_other_keys_are_the_users_own(trains, key):
    assert trains({key: 5, "freeznet": {"iteration": 7}}) == 7


@pytest.mark.parametrize(
    ("name", "more", "value"),
    [
        ("freezenet", lambda pipeline: pipeline, {"iteration": 7}),
        ("freeznet", lambda pipeline: pipeline.call(print, C("freezenet")), 5),
        ("freeznet", lambda pipeline: pipeline.call(print, [C("freezenet") + 1]), 5),
        ("freeznet", lambda pipeline: pipeline.init_model("freezenet", ResNet, "dynamic"), {}),
    ],
)
def test_a_key_that_the_pipeline_uses_is_no_slip(trains, name, more, value):
    assert trains({"freeznet": {"iteration": 7}, "freezenet": value}, name, more) == 7
