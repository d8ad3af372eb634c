"""Configs in the words of BatchFlow's Torch models."""

import keras
import pytest

from batch import VGG, ResNet, ResNet18, TFModel, WideResNet
from batch.checks import read_config
from batch.models.torch_config import in_our_words

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
STAGES = {"num_blocks": [1, 2], "filters": [4, 8]}


def ours(config, model=ResNet18):
    return in_our_words(read_config(config, model.keys(), "a model"), model)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"classes": 3, "inputs_shapes": (8, 8, 1)}, {"inputs": INPUTS}),
        ({"head/classes": 3, "input_shapes": [(8, 8, 1)]}, {"inputs": INPUTS}),
        ({"inputs": INPUTS, "classes": 3, "head/units": 3}, {"inputs": INPUTS}),
        ({"inputs": INPUTS, "classes": [3], "head/features": [3]}, {"inputs": INPUTS}),
        ({"inputs/images/shape": (8, 8, 1), "classes": 3}, {"inputs": INPUTS}),
        ({"body": STAGES}, STAGES),
        ({"body/blocks": {"n_reps": [1, 2], "channels": [4, 8]}}, STAGES),
        ({"body/blocks/attention": False, "se_block": None, "attention": False}, {}),
        ({"body/blocks": {"attention": "se"}}, {"se_ratio": 16}),
        ({"se_block": True}, {"se_ratio": 16}),
        ({"body/se_block": 4}, {"se_ratio": 4}),
        ({"attention": "se", "body/blocks/self_attention/ratio": 8}, {"se_ratio": 8}),
        ({"microbatch": 4}, {"microbatch_size": 4}),
        ({"microbatch_size": 4}, {"microbatch_size": 4}),
        ({"microbatch": False}, {"microbatch_size": None}),
        ({"amp": True}, {"precision": "bfloat16"}),
        ({"amp": False}, {}),
        ({"amp": False, "precision": "float32"}, {"precision": "float32"}),
        ({"device": "cpu"}, {}),
        ({"device": ["CPU:0"]}, {}),
        ({"device": "/device:CPU:0"}, {}),
        ({"device": None}, {}),
        ({"loss": "ce"}, {"loss": "softmax_cross_entropy"}),
        ({"loss": "CrossEntropyLoss"}, {"loss": "softmax_cross_entropy"}),
        ({"loss": "BCEWithLogitsLoss"}, {"loss": "binary_crossentropy"}),
        ({"loss": "L1Loss"}, {"loss": "mean_absolute_error"}),
        ({"loss": "MSELoss"}, {"loss": "mean_squared_error"}),
        ({"loss": {"name": "cross-entropy"}}, {"loss": "softmax_cross_entropy"}),
        ({"loss": "bce"}, {"loss": "binary_crossentropy"}),
        ({"loss": "l1"}, {"loss": "mean_absolute_error"}),
        ({"loss": {"name": "huber", "delta": 2.0}}, {"loss": ("huber", {"delta": 2.0})}),
        (
            {"optimizer": {"name": "Adam", "lr": 0.01}},
            {"optimizer": ("Adam", {"learning_rate": 0.01})},
        ),
    ],
)
def test_words_mean_keys_of_ours(config, expected):
    assert ours(config) == expected


def test_units_before_the_classes_are_hidden():
    config = ours({"head/units": [16, 8, 3], "inputs_shapes": (8, 8, 1)}, VGG)
    assert config == {"inputs": INPUTS, "hidden": [16, 8]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"classes": 3, "head/units": 4},
            r"Give the classes once, by 'inputs' or head/units\. Received: {'he",
        ),
        (
            {"inputs": INPUTS, "classes": 4},
            r"Give the classes once, by 'inputs' or classes\. Received",
        ),
        ({"inputs": INPUTS, "inputs_shapes": (9, 9, 1)}, "Give the shape once"),
        ({"body": STAGES, "num_blocks": [1]}, r"'body/num_blocks' or 'num_blocks', not both\."),
        ({"microbatch": 4, "microbatch_size": 8}, "'microbatch' or 'microbatch_size', not both"),
        ({"amp": False, "precision": "bfloat16"}, "Give 'amp' or 'precision', not both"),
        ({"amp": "yes"}, "amp must be True or False. Received: 'yes'"),
        ({"classes": 1}, r"classes must give at least 2 classes, .* Received: 1"),
        ({"inputs_shapes": (8, 8, 0)}, "inputs_shapes must be a whole number above 0. Received: 0"),
        ({"se_block": 4, "body/se_block": 8}, "Give 'body/se_block' or 'se_ratio', not both"),
        ({"head": 3}, "head must be a dict. Received: 3"),
        ({"device": "gpu:0"}, r"device must be cpu:0, where .* Received: 'gpu:0'"),
        ({"device": ["cpu", "cpu"]}, "device must be cpu:0"),
        ({"body/blocks/attention": "scse"}, "attention must be 'se', squeeze .* Received: 'scse'"),
        ({"body/layout": "cna"}, "Unknown key in the config of ResNet18: body/layout"),
        ({"head/units": [16, 3]}, "head/hidden stands for the option 'hidden', which ResNet18 doe"),
        (
            {"optimizer": {"name": "Adam", "lr": 0.01, "learning_rate": 0.1}},
            "Give 'lr' or 'learning_rate', not both",
        ),
    ],
)
def test_words_that_say_something_else_are_refused(config, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ours(config)


def test_a_word_for_an_option_that_a_model_lacks_is_refused():
    with pytest.raises(
        ValueError, match=r"body/num_blocks .* WideResNet does not have\. Its optio"
    ):
        WideResNet({"inputs": INPUTS, "body": STAGES})


def test_stages_of_a_resnet():
    network = ResNet18({"inputs": INPUTS, "body": STAGES}).network
    assert [layer.name for layer in network.layers] == [
        *("stem", "block0", "block1", "block2", "classifier")
    ]
    assert [layer.output.shape[-1] for layer in network.layers[1:]] == [4, 8, 8, 3]
    for stages, message in (
        ({"num_blocks": 2}, r"num_blocks must be a list with a number for each stage\."),
        ({"num_blocks": [1, 0]}, "num_blocks must be a whole number above 0"),
        ({"filters": [4]}, "filters must have a number for each of 4 stages"),
        ({"num_blocks": [1], "filters": [4], "se_ratio": 5}, "se_ratio must be .*, at most 4"),
    ):
        with pytest.raises(ValueError, match=message):
            ResNet18({"inputs": INPUTS, **stages})


def test_options_stand_in_a_config():
    with pytest.raises(TypeError, match=r"WideResNet\({'inputs': …, 'widen_factor': 1}\)"):
        WideResNet(widen_factor=1)


def test_a_decay_is_a_schedule(make):
    decay = {"name": "exp", "gamma": 0.5, "frequency": 2}
    model = make(decay=decay, learning_rate=0.2)
    assert [float(model.trainer.schedule(i)[0]) for i in (0, 1, 2, 4)] == [0.2, 0.2, 0.1, 0.05]
    cosine = keras.optimizers.schedules.CosineDecay(0.1, 10)
    for other in (
        {"schedule": ("Constant", {"learning_rate": 0.1})},
        {"optimizer": ("SGD", {"learning_rate": cosine})},
    ):
        with pytest.raises(ValueError, match=r"not both\. Received: .*decay"):
            TFModel({"inputs": INPUTS, "network": model.network, "decay": decay, **other})


def test_a_resnet_waits_for_its_first_images(examples):
    model = ResNet({"classes": 3, "loss": "ce", "device": "cpu"})
    with pytest.raises(AttributeError, match="ResNet has no network: it is made when it sees its"):
        _ = model.network
    with pytest.raises(AttributeError, match=r"ResNet has no nothing: it is made"):
        _ = model.nothing
    model.reset()
    assert model.train(inputs=examples[0], targets=examples[1], outputs="loss") > 0
    assert model.network.input_shape == (None, 8, 8, 1)
    with pytest.raises(ValueError, match=r"must give one shape and the classes"):
        ResNet().train(*examples)
