"""What was meant by a name that is not known; no option may be abbreviated."""

import pytest

from research import Experiment, Method


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
        (["report", "--resume", "a"], "--resume (--resume is an option of resbatch compare"),
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


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: Experiment(method="freeze_out"), "freezeout"),
        (lambda: Experiment(method="freezeout", how_scale="cube").method_config(5), "cubic"),
        (lambda: Method("own", dict, action="train_resnet"), "train_res"),
        (lambda: Method("own", dict, options={"t0": None}), "t_0"),
    ],
)
def test_calls_say_it_too(call, meant):
    with pytest.raises(ValueError, match=rf"Did you mean '{meant}'\?"):
        call()
