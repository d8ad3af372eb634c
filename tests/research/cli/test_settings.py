import contextlib
import os
import pathlib
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest

from research.cli import main
from research.storage import results
from research.storage.folders import CHECKPOINTS, ResultsError, new_folder
from utils import History


@pytest.fixture
def compared(tmp_path):
    """A folder as `resbatch compare` writes it, before its report."""
    histories = [
        History(
            method, seed, [2.0, 1.5 - seed / 9], [0.1, 0.2], [0, seed], accuracy=0.9 + seed / 99
        )
        for method in ("classic", "annealed")
        for seed in range(2)
    ]
    settings = {"command": "compare", "data": "digits", "seeds": [0, 1]}
    ratios = {"classic": 1.0, "annealed": 1.0}
    (tmp_path / "run").mkdir()
    results.save(tmp_path / "run", histories, settings, {}, ratios)
    return tmp_path / "run"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A working folder with links to a folder, to nothing, and to a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "real").mkdir()
    for link, target in (("link", "real"), ("dangling", "nowhere"), ("to_file", __file__)):
        (tmp_path / link).symlink_to(target)
    before = sorted(tmp_path.rglob("*"))
    yield tmp_path
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["train", "compare", "report real", "bench", "reproduce"])
@pytest.mark.parametrize(
    ("out", "message"),
    [
        (".", "the name of a folder to be made, and '.' is no name"),
        ("..", "'..' is no name"),
        ("/", "'/' is no name"),
        ("", "must be a folder, not ''"),
        (" ", "must be a folder, not ' '"),
        ("~no such user/x", "must be a folder, not '~no such user/x'"),
        ("link", "'link' is a symbolic link"),
        ("to_file", "'to_file' is a symbolic link"),
        ("dangling", "'dangling' is a symbolic link that leads nowhere"),
        ("dangling/run", "'dangling' is a symbolic link that leads nowhere"),
    ],
)
def test_what_is_no_folder_to_be_made_is_refused(folders, fails, command, out, message):
    line = fails(2, *command.split(), "--out", out)
    assert "argument --out: must be" in line
    assert message in line


def test_home_is_known_by_its_sign(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["data", "digits", "--out", "~/packed ü"]) == 0
    assert len(list((tmp_path / "packed ü").iterdir())) == 2
    capsys.readouterr()
    assert main(["data", "~/packed ü", "--out", "~/again"]) == 0
    assert str(tmp_path / "again") in capsys.readouterr().out


@pytest.mark.parametrize("seed", ["-1", "1.5", "x", "", str(2**63), str(2**64), "1e3"])
def test_a_seed_that_no_generator_takes_is_refused(fails, seed):
    line = fails(2, "train", f"--seed={seed}")
    assert f"--seed: must be a whole number from 0 to 2^63 - 1, not '{seed}'" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "dangling"], "dangling is a symbolic link that leads nowhere"),
        (["report", "dangling"], "'dangling' is a symbolic link that leads nowhere"),
        (["train", "--tensorboard", "dangling"], "'dangling' is a symbolic link that leads"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(folders, fails, arguments, message):
    status = 1 if "--data" in arguments else 2
    assert message in fails(status, *arguments, *["--out", "out"] * (arguments[0] == "train"))


def linked(folder, outside):
    """Put a link to a file of `outside` in the place of each file in a folder; what they hold."""
    outside.mkdir()
    held = {}
    for path in list(folder.iterdir()):
        target = outside / path.name
        path.rename(target)
        path.symlink_to(target)
        held[target] = target.read_bytes()
    return held


def test_report_does_not_write_through_links(compared, tmp_path):
    for name in ("report.html", "loss.png"):
        (compared / name).write_text("old")
    held = linked(compared, tmp_path / "outside")
    assert main(["report", str(compared)]) == 0
    assert {path: path.read_bytes() for path in held} == held
    written = {path.name for path in compared.iterdir() if not path.is_symlink()}
    assert written == {"loss.png", "report.html"}


def test_data_does_not_write_through_links(tmp_path):
    assert main(["data", "digits", "--out", str(tmp_path / "packed")]) == 0
    held = linked(tmp_path / "packed", tmp_path / "outside")
    for path in held:
        path.write_text("precious")
    assert main(["data", "digits", "--out", str(tmp_path / "packed")]) == 0
    assert [path.read_text() for path in held] == ["precious"] * 2
    assert not any(path.is_symlink() for path in (tmp_path / "packed").iterdir())


@pytest.mark.parametrize("name", ["log.jsonl", CHECKPOINTS])
@pytest.mark.parametrize("how", ["overwrite", "resume"])
def test_a_run_does_not_go_on_through_links(tmp_path, name, how):
    partial = tmp_path / "run.partial"
    (partial / CHECKPOINTS).mkdir(parents=True)
    (partial / CHECKPOINTS / "00000001").mkdir()
    if name == CHECKPOINTS:
        (partial / name).rename(tmp_path / "outside")
    else:
        (tmp_path / "outside").touch()
    (partial / name).symlink_to(tmp_path / "outside")
    with (
        pytest.raises(ResultsError, match="holds something else than results"),
        new_folder(tmp_path / "run", "train", **{how: True}),
    ):
        pass
    assert (partial / name).is_symlink()


@contextlib.contextmanager
def other_options():
    """Options of matplotlib, pandas and NumPy as someone else may have them."""
    with (
        matplotlib.rc_context(),
        pd.option_context("display.precision", 0, "display.max_columns", 1),
        np.printoptions(precision=1, threshold=2),
        np.errstate(all="raise"),
    ):
        matplotlib.style.use("dark_background")
        matplotlib.rcParams.update({"text.usetex": True, "savefig.dpi": 3})
        yield
        assert matplotlib.rcParams["text.usetex"]


@pytest.mark.parametrize("name", ["run", "run.partial"])
@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_a_folder_that_is_a_link_is_left_alone(tmp_path, name, options):
    (tmp_path / "outside").mkdir()
    (tmp_path / name).symlink_to("outside")
    with (
        pytest.raises(ResultsError, match=f"{name} is a symbolic link"),
        new_folder(tmp_path / "run", "train", **options),
    ):
        pass
    assert (tmp_path / name).is_symlink()


def test_a_report_is_the_same_whatever_the_options(compared, capsys):
    made = []
    for options in (contextlib.nullcontext, other_options):
        with options():
            assert main(["report", str(compared)]) == 0
        made.append((capsys.readouterr().out, (compared / "loss.png").read_bytes()))
    assert made[0] == made[1]


ODD = {
    **{"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    **{"PYTHONWARNINGS": "error", "PYTHONHASHSEED": "1"},
    **{"HOME": "/proc", "MPLBACKEND": "TkAgg", "COLUMNS": "1", "TZ": "No/Where", "CI": "1"},
    **{"TF_CPP_MIN_LOG_LEVEL": "nonsense", "TF_ENABLE_ONEDNN_OPTS": "maybe"},
    **{"OMP_NUM_THREADS": "none", "CUDA_VISIBLE_DEVICES": "7", "TF_USE_LEGACY_KERAS": "1"},
}


def in_a_shell(folder, command, **variables):
    code = f"{sys.executable} -m resbatch {command}"
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), **variables}
    return subprocess.run(["bash", "-c", code], cwd=folder, env=environment, capture_output=True)


def test_a_run_in_an_odd_environment_is_like_another(tmp_path, colours):
    train = ["train", "--iterations", "2", "--batch-size", "20", "--data", colours]
    train += ["--model", "wideresnet", "--depth", "10", "--widen-factor", "1"]
    done = in_a_shell(tmp_path, f"{' '.join(train)} --eval-every 1 --out 'ü 1' 2>&-", **ODD)
    assert done.returncode == 0
    assert done.stdout.decode("ascii").endswith("Results: ?? 1\n")
    assert main([*train, "--out", str(tmp_path / "usual")]) == 0
    odd, usual = (pd.read_csv(tmp_path / name / "results.csv") for name in ("ü 1", "usual"))
    assert odd.loss.tolist() == pytest.approx(usual.loss.tolist(), rel=1e-3)  # other threads


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"KERAS_HOME": "."}, "in the environment variable KERAS_BACKEND or else in keras.json"),
        ({"MPLBACKEND": "nonsense"}, "'nonsense' is not a valid value for backend"),
    ],
)
def test_what_cannot_start_is_one_line_before_anything_is_trained(tmp_path, variables, named):
    (tmp_path / "keras.json").write_text('{"backend": "nonsense"}')
    done = in_a_shell(tmp_path, "compare --out out", **variables)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert named in done.stderr.decode()
    assert not pathlib.Path(tmp_path, "out").exists()
