"""The options of the program published with FreezeOut: as they stand, or as the error says."""

import pytest

from batch import DenseNet
from research.cli import make_parser
from research.experiments import recipes

PROGRAM = ["train", "--data", "cifar100", "--model", "densenet", "--method", "freezeout"]


def settled(*arguments):
    options = make_parser().parse_args([*PROGRAM, *arguments])
    recipes.settle(options)
    return options


def test_without_options_it_is_the_published_run():
    options = settled()
    expected = {"epochs": 100, "batch_size": 50, "learning_rate": 0.1, "momentum": 0.9, "t_0": 0.8}
    expected |= {"how_scale": "cubic", "scale_lr": True, "weight_decay": 1e-4, "augment": True}
    assert {name: getattr(options, name) for name in expected} == expected
    assert options.model_options == {}  # those of DenseNet itself
    assert (DenseNet.DEFAULTS["depth"], DenseNet.DEFAULTS["growth_rate"]) == (76, 12)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["-L", "40"], "depth", 40),
        (["--depth", "40"], "depth", 40),
        (["-k", "24"], "growth_rate", 24),
        (["--growth-rate", "24"], "growth_rate", 24),
        (["--augment"], "augment", True),
        (["--no-augment"], "augment", False),
        (["--validate"], "validate", "val"),
        (["--epochs", "3"], "epochs", 3),
        (["--seed", "7"], "seed", 7),
        (["--model", "vgg"], "model", "vgg"),
        (["--model", "densenet"], "model", "densenet"),
        (["--save-weights", "mine.pth"], "save_weights", "mine.pth"),
        (["--resume", "--out", "a-run"], "resume", True),
    ],
)
def test_options_that_are_the_same(arguments, name, value):
    assert getattr(settled(*arguments), name) == value


@pytest.mark.parametrize(
    ("published", "message", "today", "name", "value"),
    [
        (["--t_0", "0.5"], "Did you mean '--t-0'?", ["--t-0", "0.5"], "t_0", 0.5),
        *(
            (
                ["--how_scale", scale],
                "Did you mean '--how-scale'?",
                ["--how-scale", scale],
                "how_scale",
                scale,
            )
            for scale in ("linear", "squared", "cubic")
        ),
        (["--scale_lr", "True"], "mean '--scale-lr'?", ["--scale-lr"], "scale_lr", True),
        (["--scale-lr", "True"], "--scale-lr takes no value", ["--scale-lr"], "scale_lr", True),
        (["--no_scale"], "Did you mean '--no-scale-lr'?", ["--no-scale-lr"], "scale_lr", False),
        (["--const_time", "True"], "'--const-time'?", ["--const-time"], "const_time", True),
        (["--const-time", "True"], "takes no value", ["--const-time"], "const_time", True),
        (["--batch_size", "9"], "'--batch-size'?", ["--batch-size", "9"], "batch_size", 9),
        (
            ["--which_dataset", "100"],
            "--which_dataset is --data cifar10 or --data cifar100 here",
            ["--data", "cifar100"],
            "data",
            "cifar100",
        ),
        (
            ["--validate-test"],
            "is --validate test here",
            ["--validate", "test"],
            "validate",
            "test",
        ),
        (["--no-validate"], "is --eval-every N,", ["--eval-every", "900"], "eval_every", 900),
        (["--resume", "True"], "takes no value", ["--resume", "--out", "o"], "resume", True),
        (["--resume"], "--resume needs --out", ["--resume", "--out", "o"], "resume", True),
        (["--model", "vgg16"], "Did you mean 'vgg'?", ["--model", "vgg"], "model", "vgg"),
    ],
)
def test_options_that_the_error_puts_right(published, message, today, name, value, fails):
    assert message in fails(2, *PROGRAM, *published)
    assert getattr(settled(*today), name) == value
