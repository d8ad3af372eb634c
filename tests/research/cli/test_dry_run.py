import pytest

from research.cli import main


def test_a_dry_run_tells_what_a_run_will_take(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--model", "densenet", "--depth", "76", "--growth-rate", "12", "--epochs", "1"]
    assert main(["train", *options, "--method", "freezeout", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "published estimate: 17.8 %" in lines
    (saving,) = (line for line in lines if line.startswith("predicted saving: "))
    assert 15 < float(saving.split()[2]) < 25
    assert any(line.startswith("parameters: 486,298 in 39 blocks") for line in lines)  # grey images
    blocks = [line.split() for line in lines if line.startswith(("stem", "dense", "transition"))]
    assert [block[0] for block in blocks[:2]] == ["stem", "dense0"]
    assert blocks[0][3] == "14"  # 27 iterations · 0.8³, rounded up
    assert blocks[-1][3] == "–"
    (memory,) = (line for line in lines if line.startswith("memory: about "))
    assert 1.5 < float(memory.split()[2]) < 3
    assert not any(tmp_path.iterdir())


def test_a_dry_run_with_costs_that_are_measured(colours, capsys):
    options = ["--model", "vgg", "--depth", "a", "--iterations", "10", "--method", "freezeout"]
    assert main(["train", "--data", colours, *options, "--costs", "measured", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (saving,) = (line for line in lines if line.startswith("predicted saving: "))
    assert saving.endswith("%, from blocks as measured")
    assert 0 < float(saving.split()[2]) < 60


def test_a_dry_run_of_other_methods_and_networks(colours, capsys):
    arguments = ["train", "--data", colours, "--model", "vgg", "--depth", "a", "--iterations", "10"]
    assert main([*arguments, "--method", "freezeout", "--dry-run", "--const-time"]) == 0
    out = capsys.readouterr().out
    assert "published estimate: none, it is for DenseNet-BC" in out
    assert "run: freezeout, 11 iterations of 50" in out
    assert main([*arguments, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "predicted saving: 0.0 %" in out
    assert "published" not in out


@pytest.mark.usefixtures("small_networks")
def test_a_dry_run_of_a_comparison(colours, tmp_path, capsys, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    methods = ["--methods", "classic,annealed,freezeout,autofreeze", "--grid", "t_0=0.5,0.9"]
    arguments = ["--data", colours, "--iterations", "20", "--batch-size", "10", "--seeds", "4"]
    assert main(["compare", *arguments, *methods, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "runs: 20 (5 methods, 4 seeds), 400 iterations of 10 images"
    rows = {line.rsplit("  20", 1)[0].strip(): line for line in lines[4:9]}
    assert list(rows) == [
        *("classic", "annealed", "freezeout t_0=0.5", "freezeout t_0=0.9", "autofreeze")
    ]
    assert "only the run can show it" in rows["autofreeze"]
    saved = [
        float(rows[f"freezeout t_0={t_0}"].split(" % of annealed")[0].split()[-1])
        for t_0 in (0.5, 0.9)
    ]
    assert saved[0] > saved[1] > 0
    assert any(line.startswith("time: about ") for line in lines)
    assert not any((tmp_path / "here").iterdir())
