import os
import subprocess
import sys

import pytest

import resbatch
from batch.models.named import MODELS
from batch.schedules.freezeout import DEGREES
from research import names
from research.cli import main, make_parser
from research.experiments import recipes
from research.experiments.experiment import Experiment
from research.methods.options import HOW_SCALE

SMALL = ["--iterations", "4", "--batch-size", "40"]


def test_names_for_the_command_line_are_those_of_the_package():
    config_only = {"symmetric", "batch_normalization", "use_bias", "hidden", "weights"}
    for model, options in recipes.MODEL_OPTIONS.items():
        assert set(options) <= set(MODELS[model].DEFAULTS)
        assert set(MODELS[model].DEFAULTS) - set(options) <= config_only | {"dropout"}
    assert set(HOW_SCALE) == set(DEGREES)
    assert tuple(MODELS) == names.MODELS
    assert Experiment().survival == 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--itertions", "3"], "unrecognized arguments: --itertions"),
        (["compare", "--methods", "classic,frozen"], "'frozen'"),
        (["compare", "--methods", "classic,classic"], "different names"),
        (["compare", "--iterations", "0"], "whole number above 0, not '0'"),
        (["compare", "--iterations", "-3"], "--iterations"),
        (["compare", "--batch-size", "x"], "whole number above 0, not 'x'"),
        (["compare", "--data", "minst"], "expected digits, mnist"),
        (["train", "--method", "frozen"], "invalid choice: 'frozen'"),
        (["train", "--survival", "1.5"], "a number from 0 to 1, not '1.5'"),
        (["compare", "--survival", "half"], "a number from 0 to 1, not 'half'"),
        (["compare", "--model", "resnet20"], "invalid choice: 'resnet20'"),
        (["train", "--precision", "float16"], "invalid choice: 'float16'"),
        (["train", "--cache", "disk"], "invalid choice: 'disk'"),
        (["train", "--cache", "-1"], "invalid choice: '-1'"),
        (["train", "--cache", "1.5"], "off, or bytes of memory"),
        (["compare", "--preset", "thrifty", "--t-0", "0.5"], "--preset thrifty says --t-0"),
        (["compare", "--study", "saving", "--preset", "thrifty"], "no --preset"),
        (["train", "--depth", "76"], "--model resnet has no option --depth; it has none"),
        (["train", "--model", "vgg", "--growth-rate", "2"], "no option --growth-rate; it has --d"),
        (["train", "--model", "vgg", "--depth", "C"], "whole number above 0, not 'C'"),
        (["train", "--t-0", "0"], "a number above 0, at most 1, not '0'"),
        (["compare", "--margin", "0"], "a number from 0.001, below 100, not '0'"),
        (["compare", "--margin", "100"], "a number from 0.001, below 100, not '100'"),
        (["compare", "--margin", "nan"], "a number from 0.001, below 100, not 'nan'"),
        (["compare", "--target", "0"], "a number above 0, at most 100, not '0'"),
        (["compare", "--target", "101"], "a number above 0, at most 100, not '101'"),
        (["compare", "--target", "all"], "a number above 0, at most 100, not 'all'"),
        (["train", "--target", "90"], "(--target is an option of resbatch compare)"),
        (["train", "--how-scale", "quartic"], "invalid choice: 'quartic'"),
        (["train", "--weight-decay", "-1"], "a number of 0 or more, not '-1'"),
        (["train", "--learning-rate", "nan"], "a number above 0, not 'nan'"),
        (["train", "--epochs", "2", "--iterations", "2"], "not allowed with"),
        (["train", "--model", "wideresnet", "--depth", "D"], "must be a number, not 'D'"),
        (["train", "--model", "vgg", "--method", "stochastic"], "has no residual branches"),
        (["compare", "--model", "densenet", "--methods", "stochastic"], "no residual branches"),
        (["train", "--preset", "thrifty"], "--preset thrifty is for freezeout, not classic"),
        (
            ["compare", "--methods", "autofreeze", "--equal-time"],
            "--equal-time needs a saving that",
        ),
        (
            ["train", "--method", "autofreeze", "--const-time"],
            "--const-time needs a saving that is",
        ),
        (["compare", "--methods", "shorter", "--equal-time"], "and so does shorter: leave one"),
        (["train", "--method", "shorter", "--const-time"], "--const-time says for how many iter"),
        (["compare", "--methods", "mine"], "or FILE.py:NAME or package.module:NAME"),
        (["compare", "--study", "freezeout", "--equal-time"], "runs of its own: no --equal-time"),
        (["compare", "--study", "freezeout", "--t-0", "0.5"], "has runs of its own: no --t-0"),
        (["train", "--save-weights", "a/b"], "a file name without a folder, not 'a/b'"),
        (["compare", "--study", "freezing"], "invalid choice: 'freezing'"),
        (["compare", "--study", "freezeout", "--methods", "classic"], "not allowed with"),
        (["fly"], "invalid choice: 'fly'"),
        ([], "COMMAND"),
        (["report"], "DIR"),
        (["bench", "steps"], "invalid choice: 'steps'"),
    ],
)
def test_wrong_usage_is_status_2(arguments, message, fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in fails(2, *arguments)
    assert not any(tmp_path.iterdir()) or not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--resume"], "--resume needs --out"),
        (["--resume", "--out", "x", "--overwrite"], "give one"),
        (["--tensorboard", "x/events", "--out", "x"], "--tensorboard must lie outside --out"),
        (["--milestones", "0.6,0.3"], "must rise, not '0.6,0.3'"),
        (["--metrics", "accuracy,f1"], "top5 or another number, not 'accuracy,f1'"),
        (["--metrics", "top0"], "top5 or another number"),
        (["--eval-every", "0"], "whole number above 0"),
        (["--milestones", "0.3,x"], "must be a number above 0, below 1, not 'x'"),
        (["--milestones", "0.3,1"], "must be a number above 0, below 1, not '1'"),
        (["--block", "B(3)", "--model", "wideresnet"], "invalid choice"),
        (["--block", "B(3,1)"], "--model resnet has no option --block"),
    ],
)
def test_wrong_usage_of_what_train_watches(options, told, fails):
    assert told in fails(2, "train", *options)


def test_failures_are_status_1_and_leave_nothing(tmp_path, fails, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "has 1,347" in fails(1, "train", "--validate", "val", "--out", "out")
    line = fails(1, "train", "--model", "vgg", "--depth", "12", "--out", "out")
    assert "one of A, B, D, E, or 11, 13, 16, 19. Received: 12" in line
    line = fails(1, "compare", "--batch-size", "5000", "--out", "out")
    assert "5000 images, but digits has 1347" in line
    assert "no file" in fails(1, "compare", "--data", "missing.npz", "--out", "out")
    (tmp_path / "bad.npz").write_bytes(b"junk")
    assert "bad.npz" in fails(1, "train", "--data", "bad.npz", "--out", "out")
    line = fails(1, "train", "--method", "autofreeze", "--freeze-every", "150", "--out", "o")
    assert "--freeze-every must be below the 150 iterations" in line
    assert "no results" in fails(1, "report", ".")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


def test_a_folder_that_cannot_be_written(tmp_path, fails):
    (tmp_path / "file").write_text("")
    line = fails(1, "compare", *SMALL, "--out", str(tmp_path / "file" / "out"))
    assert "Can't write" in line


@pytest.mark.usefixtures("small_networks")
def test_overwrite_replaces_results_and_nothing_else(fails, tmp_path):
    (tmp_path / "precious.txt").write_text("")
    line = fails(1, "train", *SMALL, "--out", str(tmp_path), "--overwrite")
    assert "something else than results" in line
    out = tmp_path / "out"
    assert main(["train", *SMALL, "--out", str(out)]) == 0
    assert "exists" in fails(1, "compare", *SMALL, "--out", str(out))
    (out / "old").write_text("")
    assert main(["train", *SMALL, "--out", str(out), "--overwrite"]) == 0
    assert not (out / "old").exists()


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="no file"):
        main(["--debug", "train", "--data", str(tmp_path / "a.npz"), "--out", str(tmp_path / "o")])


def test_help_starts_neither_tensorflow_nor_numpy():
    script = """
import sys
from research.cli import make_parser
make_parser().format_help()
assert make_parser().parse_args(["train", "--method", "freezeout"]).method.name == "freezeout"
heavy = {"tensorflow", "numpy", "pandas", "matplotlib", "batchflow"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"resbatch {resbatch.__version__}\n"


def test_help_lists_each_option_once_with_the_methods_that_read_it(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    page = " ".join(capsys.readouterr().out.split("methods:")[-1].split())
    assert "--t-0 T0 of freezeout, shorter: when the first block stops" in page
    assert "--freeze-every N of layerfreezing, autofreeze: iterations from" in page
    for option in ("--survival", "--milestones", "--gamma", "--freeze-iterations", "--how-scale"):
        assert page.count(f" {option} ") >= 1


@pytest.mark.parametrize(
    ("arguments", "methods"),
    [
        (["compare"], "classic annealed freezeout stochastic shorter"),
        (["compare", "--model", "vgg"], "classic annealed freezeout shorter"),
        (["compare", "--equal-time"], "classic annealed freezeout stochastic"),
        (["compare", "--preset", "thrifty", "--methods", "shorter"], "shorter"),
        (["train"], "classic"),
    ],
)
def test_the_usual_methods_are_those_that_can_be_compared(arguments, methods):
    options = make_parser().parse_args(arguments)
    recipes.settle(options)
    assert " ".join(method.name for method in options.methods) == methods
    if options.preset:
        assert (options.t_0, options.how_scale, options.scale_lr) == (0.7, "cubic", False)


def test_a_crash_in_a_process_is_one_line_on_stderr(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "research.cli", "train", "--batch-size", "5000", "--out", "o"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "5000 images" in done.stderr
