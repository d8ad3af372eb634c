"""What was meant by a name that is not known; no option may be abbreviated."""

import pytest

from batch.spelling import did_you_mean


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (
            ["compare", "--seed", "3"],
            "--seed. Did you mean '--seeds'? (--seed is an option of re",
        ),
        (["train", "--seeds", "3"], "Did you mean '--seed'?"),
        (["train", "--methods", "classic"], "Did you mean '--method'?"),
        (["train", "--iteration", "3"], "Did you mean '--iterations'?"),
        (["train", "--iter", "3"], "unrecognized arguments: --iter"),
        (["train", "--itertions=3"], "Did you mean '--iterations'?"),
        (["train", "--how_scale", "cubic"], "Did you mean '--how-scale'?"),
        (["train", "--t_0", "0.5"], "Did you mean '--t-0'?"),
        (["train", "--no_scale_lr"], "Did you mean '--no-scale-lr'?"),
        (["train", "--over", "--dry"], "unrecognized arguments: --over --dry"),
        (["compare", "--resume"], "--resume (--resume is an option of resbatch train"),
        (["compare", "--eval-every", "3"], "every (--eval-every is an option of resbatch train"),
        (["train", "--scale-lr", "False"], "False: --scale-lr takes no value"),
        (["train", "--debug"], "--debug is an option of resbatch"),
        (["--debg", "train"], "Did you mean '--debug'?"),
        (["report", "x", "--overwite"], "Did you mean '--overwrite'?"),
        (["bench", "--repetition", "3"], "Did you mean '--repetitions'?"),
        (["tran"], "Did you mean 'train'?"),
        (["bench", "steps"], "Did you mean 'step'?"),
        (["train", "--method", "freezout"], "Did you mean 'freezeout'?"),
        (["compare", "--methods", "classic,stochstic"], "Did you mean 'stochastic'?"),
        (["train", "--model", "ResNet-18"], "Did you mean 'resnet18'?"),
        (["train", "--data", "minst"], "Did you mean 'mnist'?"),
        (["compare", "--study", "saving-full"], "invalid choice: 'saving-full'"),
        (["compare", "--study", "freezout"], "Did you mean 'freezeout'?"),
        (["train", "--how-scale", "linaer"], "Did you mean 'linear'?"),
        (["train", "--cache", "mem"], "Did you mean 'memory'?"),
        (["train", "--metrics", "acuracy"], "Did you mean 'accuracy'?"),
        (["train", "--precision", "bfloat"], "Did you mean 'bfloat16'?"),
    ],
)
def test_unknown_names_say_what_may_have_been_meant(arguments, end, fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert end in fails(2, *arguments)


def test_only_names_that_are_near_are_offered():
    assert did_you_mean("Adamm", ["SGD", "Adam"]) == ". Did you mean 'Adam'?"
    assert did_you_mean(["stpe", "seed", "xyz"], ["step", "seeds"]) == (
        ". Did you mean 'step' and 'seeds'?"
    )
    assert did_you_mean("xyz", ["step", "seed"]) == did_you_mean([], ["step"]) == ""
