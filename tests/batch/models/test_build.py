import keras
import numpy as np
import pytest

from batch import FreezeOut, ResNet, TFModel

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
SCHEDULE = ("FreezeOut", {"iterations": 6, "learning_rate": 0.05, "t_0": 0.5, "degree": 1})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depths": 3}, "config of ResNet: depths. Known keys: amp, attention, augment, base, bo"),
        ({"input_block": {"input": "images"}}, "config of input_block: input. Known keys: inputs"),
        ({"input_block/input": "images"}, "config of input_block: input"),
        ({"inputs": {"images": {"shapes": 8}}}, "config of inputs/images: shapes. Known keys: cl"),
        ({"normalize": {"average": [0]}}, "config of normalize: average. Known keys: mean, std"),
        ({"augment": {"crop": 4}}, "config of augment: crop. Known keys: flip, pad, views"),
        ({"load": {"file": "x"}}, "config of load: file. Known keys: fmt, path"),
    ],
)
def test_unknown_keys_are_refused_at_every_depth(config, message):
    with pytest.raises(ValueError, match=message):
        ResNet({"inputs": INPUTS, **config})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"optimiser": "SGD"},
            "Unknown key in the config of TFModel: optimiser. Known keys: .*inputs",
        ),
        ({"inputs": {"images": {"shape": (8, 8, 1)}}}, "one shape and the classes"),
        ({"inputs": None}, "one shape and the classes"),
        ({"inputs": {"images": {"shape": (8, 0), "classes": 3}}}, r"\(H, W\) or \(H, W, C\)"),
        ({"inputs": {"images": {"shape": (8, 8, 1), "classes": 4}}}, "4 logits an image"),
        ({"optimizer": "SDG"}, "must be a Keras optimizer, .* Received: 'SDG'"),
        ({"optimizer": {"momentum": 0.9}}, "must be a Keras optimizer"),
        ({"schedule": SCHEDULE, "learning_rate": 0.1}, "not both"),
        ({"precision": "float16"}, "float32 or bfloat16"),
        ({"cache": "on"}, "cache must be auto, memory"),
        ({"survival": 1, "mode": "image"}, "mode must be batch or sample"),
        ({"loss": "cross"}, "loss must be softmax_cross_entropy"),
        ({"loss": lambda labels, logits: labels @ logits}, r"must take labels \(n,\) and logits"),
        ({"output": {"ops": ["f1"]}}, "'output/ops' must be of"),
    ],
)
def test_bad_configs_are_refused(make, config, message):
    with pytest.raises(ValueError, match=message):
        make(**config)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (FreezeOut(5, 10, 0.1), "3 blocks .* a schedule for 5"),
        (("FrezeOut", {}), "FreezeOut, Annealed, Constant"),
        ("FreezeOut", "FreezeOut, Annealed, Constant"),
        (("FreezeOut", {"iterations": 0, "learning_rate": 1}), "iterations must be"),
    ],
)
def test_bad_schedules_are_refused(blocks, schedule, message):
    with pytest.raises(ValueError, match=message):
        TFModel({"inputs": INPUTS, "network": blocks(), "schedule": schedule})


def test_optimizers_in_every_form(make):
    for form in (
        "adam",
        ("Adam", {"beta_1": 0.5}),
        {"name": "Adam", "beta_1": 0.5},
        keras.optimizers.Adam(beta_1=0.5),
    ):
        optimizer = make(optimizer=form).trainer.optimizers[0]
        assert type(optimizer) is keras.optimizers.Adam
        assert optimizer.beta_1 == (0.9 if form == "adam" else 0.5)


def test_the_optimizers_own_rate_counts_where_no_other_is_given(blocks):
    model = TFModel(
        {"inputs": INPUTS, "network": blocks(), "optimizer": ("SGD", {"learning_rate": 0.25})}
    )
    assert model.trainer.schedule(0).tolist() == [0.25] * 3


def test_a_base_model_needs_a_network():
    with pytest.raises(ValueError, match="TFModel needs a 'network'"):
        TFModel({"inputs": INPUTS})


def test_losses_of_the_users_own(make, examples):
    def halved(labels, logits):
        assert labels.shape.rank == 2  # one-hot, as the transform says
        return keras.losses.categorical_crossentropy(labels, logits, from_logits=True) / 2

    inputs = {**INPUTS, "labels": {"classes": 3, "transform": "ohe"}}
    own = make(loss=halved, inputs=inputs).train(*examples)
    assert own == pytest.approx(make().train(*examples) / 2, rel=1e-5)
    assert make(loss="mse").train(*examples) > 0


def test_a_keras_learning_rate_schedule_becomes_one_of_ours(blocks, examples, tmp_path):
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.25)
    config = {"inputs": INPUTS, "network": blocks(), "optimizer": ("SGD", {"learning_rate": decay})}
    model = TFModel(config)
    rates = []
    for _ in range(3):
        rates.append(model.trainer.plan.rates_at(model.iteration)[0])
        model.train(*examples)
        assert float(model.trainer.optimizers[0].learning_rate) == pytest.approx(rates[-1])
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025], rtol=1e-6)
    model.save(tmp_path / "model.zip")
    loaded = TFModel({"load": {"path": tmp_path / "model.zip"}})
    assert loaded.train(*examples) == model.train(*examples)
    for other in ({"learning_rate": 0.1}, {"schedule": SCHEDULE}):
        with pytest.raises(ValueError, match=r"not both\. Received: .* and the optimizer's own"):
            TFModel({**config, **other})
