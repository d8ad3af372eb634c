"""Options that would do nothing are refused; every option has its place here."""

import importlib

import pytest

from research.cli import make_parser
from research.experiments import recipes
from research.experiments.experiment import Experiment
from research.methods import METHODS, users
from research.methods.options import SHARED
from research.studies import load_study

VALUES = {  # of the options of methods
    **{"milestones": ["0.5"], "gamma": ["0.1"], "freeze_iterations": ["9"], "t_0": ["0.5"]},
    **{"how_scale": ["cubic"], "scale_lr": [], "count_classifier": [], "survival": ["0.2"]},
    **{"freeze_every": ["9"], "cache": ["memory"]},
}
ALWAYS = {  # they act whatever the others are
    *("help", "data", "threads", "out", "model", "precision", "iterations", "epochs", "batch_size"),
    *("learning_rate", "optimizer", "weight_decay", "augment", "normalize", "dry_run", "seed"),
    *("seeds", "method", "methods", "study", "validate", "save_weights", "eval_every", "metrics"),
    *("eval_batches", "tensorboard", "const_time", "equal_time", "train_images", "test_images"),
    *(
        "image_size",
        "base",
        "costs",
        "skip_broken",
        "engine",
        "margin",
        "target",
        "quiet",
        "strategy",
    ),
}
NEEDING = {
    "overwrite",
    "resume",
    "keep_checkpoints",
    "momentum",
    "preset",
    "checkpoint_every",
    "views",
    "freeze_first",
    "freeze",
    "address",
    "cpus_per_run",
    "grid",
}


def flag(name):
    return "--" + name.replace("_", "-")


@pytest.mark.parametrize("command", ["train", "compare"])
def test_every_option_is_known_to_act_or_is_checked(command):
    subparsers = make_parser()._subparsers._group_actions[0]
    options = {action.dest for action in subparsers.choices[command]._actions}
    of_networks = {name for names in recipes.MODEL_OPTIONS.values() for name in names}
    assert options <= ALWAYS | NEEDING | of_networks | set(SHARED)
    assert {name for name, option in SHARED.items() if option.flag} == set(VALUES)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("option", VALUES)
def test_options_of_other_methods_are_refused(method, option, fails):
    arguments = ["--iterations", "90", flag(option), *VALUES[option]]
    if option == "gamma":
        arguments += ["--milestones", "0.5"]
    if option in METHODS[method].options:
        options = make_parser().parse_args(["train", "--method", method, *arguments])
        assert recipes.settle(options) == []
        return
    expected = " and ".join(users("milestones" if option == "gamma" else option))
    for start in (["train", "--method"], ["compare", "--methods"]):
        line = fails(2, *start, method, *arguments)
        assert line.endswith(f" is for {expected}, not {method}")


def test_an_option_that_one_of_the_methods_reads_is_none_too_many(fails):
    arguments = ["compare", "--methods", "classic,freezeout", "--t-0", "0.5"]
    recipes.settle(make_parser().parse_args(arguments))
    line = fails(2, *arguments, "--survival", "0.2")
    assert line.endswith("--survival is for stochastic, not classic, freezeout")
    line = fails(2, "compare", "--model", "vgg", "--survival", "0.2")  # it is left out for vgg
    assert line.endswith("--survival is for stochastic, not classic, annealed, freezeout, shorter")


@pytest.mark.parametrize(
    "study", ["freezeout", "frontier", "momentum", "saving", "views", "wide-resnet"]
)
@pytest.mark.parametrize("option", [*VALUES, "preset"])
def test_options_that_no_run_of_a_study_reads_are_refused(study, option, fails):
    module = recipes.study_module(study)
    read = {name for method in recipes.OF_STUDY[module] for name in METHODS[method].options}
    arguments = ["compare", "--study", study, flag(option), *VALUES.get(option, ["thrifty"])]
    if option in read and option not in recipes.FIXED[module]:
        recipes.settle(make_parser().parse_args(arguments))
    else:
        line = fails(2, *arguments)
        assert " is for " in line or "has runs of its own: no --" in line


@pytest.mark.parametrize("study", recipes.OF_STUDY)
def test_the_methods_of_a_study_are_those_of_its_runs(study, monkeypatch):
    monkeypatch.setattr("research.experiments.bases.count_blocks", lambda base: 3)
    options = {"model_options": {"depth": 16}} if study == "wide_resnet" else {}
    options |= {"base": "efficientnet-lite0"} if study == "frontier" else {}
    runs = load_study(study).experiments(Experiment(**options)).values()
    assert {run.label for run in runs} == set(recipes.OF_STUDY[study])
    assert importlib.import_module(f"research.studies.{study}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--gamma", "0.5"], "--gamma needs --milestones"),
        (
            ["compare", "--grid", "survival=0.5,0.6", "--methods", "classic"],
            "--grid: survival is for stochastic, not classic",
        ),
        (["compare", "--grid", "gamma=0.5,0.6"], "--grid: gamma needs --milestones"),
        (["compare", "--grid", "t_0=0.5,0.6", "t_0=0.7,0.8"], "--grid has t_0 twice"),
        (
            ["compare", "--grid", "t_0=0.5,0.6", "--t-0", "0.7"],
            "--grid says t_0, and so does --t-0: leave one of them out",
        ),
        (
            ["compare", "--grid", "t_0=0.5,0.6", "--preset", "thrifty"],
            "--grid says t_0, and so does --preset",
        ),
        (["compare", "--grid", "t_0=0.5,0.6", "--study", "saving"], "no --grid"),
        (["train", "--keep-checkpoints", "2"], "--keep-checkpoints needs --checkpoint-every"),
        (["train", "--optimizer", "Adam", "--momentum", "0.9"], "with --optimizer, give it there"),
        (["train", "--views", "4"], "--views needs --augment"),
        (["compare", "--model", "vgg", "--no-augment", "--views", "4"], "--views needs --augment"),
        (
            ["train", "--freeze-first", "3"],
            "--freeze-first needs --base: blocks with random weights",
        ),
        (["train", "--base", "efficientnet-lite0", "--model", "vgg"], "its network: no --model"),
        (["train", "--base", "efficientnet-lite0", "--depth", "9"], "its network: no --depth"),
        (["compare", "--study", "frontier", "--depth", "9"], "brings its network: no --depth"),
        (
            ["train", "--base", "efficientnet-lite0", "--normalize"],
            "deviations of its own: no --nor",
        ),
        (["train", "--base", "efficientnet-lite0", "--no-normalize"], "of its own: no --normalize"),
        (
            ["train", "--base", "efficientnet-lite0", "--freeze-first", "0,3"],
            "--freeze-first must be one number, not 0,3: several are for compare, without --meth",
        ),
        (
            ["train", "--freeze", "block.*"],
            "--freeze needs --base: blocks with random weights",
        ),
        (
            ["train", "--base", "efficientnet-lite0", "--method", "stochastic"],
            "runs its blocks in inference mode: nothing for stochastic to drop",
        ),
        (["compare", "--study", "frontier", "--model", "vgg"], "has runs of its own: no --model"),
        (
            ["compare", "--study", "wide-resnet", "--base", "efficientnet-lite0"],
            "has runs of its own: no --base",
        ),
        (["train", "--overwrite"], "--overwrite needs --out"),
        (["compare", "--overwrite"], "--overwrite needs --out"),
        (["report", "x", "--overwrite"], "--overwrite needs --out"),
        (["reproduce", "--overwrite"], "--overwrite needs --out"),
        (["bench", "--overwrite"], "--overwrite needs --out"),
        (["bench", "saving", "--batch-size", "9"], "--batch-size: saving trains by recipes of its"),
    ],
)
def test_options_that_need_another_one(arguments, message, fails):
    assert message in fails(2, *arguments)


def test_checkpoints_that_would_never_be_saved(fails, tmp_path):
    arguments = ["train", "--iterations", "4", "--batch-size", "40", "--out", str(tmp_path / "out")]
    line = fails(1, *arguments, "--checkpoint-every", "5")
    assert "--checkpoint-every 5 would save none: the run has 4 iterations" in line
    assert not any(tmp_path.iterdir())
