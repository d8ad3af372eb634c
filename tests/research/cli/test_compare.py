import json

import numpy as np
import pandas as pd
import pytest

from research.cli import main

USUAL = ["classic", "annealed", "freezeout", "stochastic", "shorter"]
SUMMARY = (
    "method,seeds,accuracy_mean,accuracy_std,seconds_mean,seconds_ratio,predicted_ratio,baseline,"
    "difference,ci_low,ci_high,verdict,p_holm,seeds_needed,time_ratio,time_low,time_high"
)


def test_compare_writes_five_files_and_nothing_else(compared):
    names = sorted(path.name for path in compared.iterdir())
    assert names == ["experiment.json", "loss.png", "report.html", "results.csv", "summary.csv"]
    assert [path.name for path in compared.parent.iterdir()] == ["compared"]


def test_results_have_a_row_an_iteration(compared):
    assert (
        (compared / "results.csv")
        .read_text()
        .startswith("method,seed,iteration,loss,seconds,frozen\n")
    )
    rows = pd.read_csv(compared / "results.csv")
    assert len(rows) == 5 * 2 * 4
    runs = rows.groupby(["method", "seed"]).iteration.apply(tuple)
    assert set(runs) == {(0, 1, 2, 3)}
    freezeout = rows[(rows.method == "freezeout") & (rows.seed == 0)]
    assert freezeout.frozen.tolist() == [0, 0, 0, 2]


def test_summary_has_a_row_a_method(compared):
    assert (compared / "summary.csv").read_text().startswith(SUMMARY + "\n")
    summary = pd.read_csv(compared / "summary.csv").set_index("method")
    assert summary.index.tolist() == USUAL
    assert summary.seeds.tolist() == [2] * 5
    assert summary.baseline.tolist()[1:] == ["classic", "annealed", "classic", "annealed"]
    assert summary.loc["freezeout", "predicted_ratio"] < 1
    assert summary.loc["stochastic", "predicted_ratio"] == pytest.approx(0.749, abs=5e-4)
    assert np.isnan(summary.loc["classic", "difference"])


def test_experiment_has_what_it_takes_to_run_again(compared):
    record = json.loads((compared / "experiment.json").read_text())
    assert record["settings"]["methods"] == USUAL
    assert record["settings"]["survival"] == 0.6
    assert record["settings"]["seeds"] == [0, 1]
    assert record["settings"]["iterations"] == 4
    assert record["settings"]["batch_size"] == 40
    assert record["settings"]["cache"] > 1  # bytes, of each run
    assert record["environment"]["tensorflow"]
    assert int(record["environment"]["threads"]) >= 1


def test_what_was_understood_of_the_data_is_in_the_record_and_the_report(compared):
    record = json.loads((compared / "experiment.json").read_text())
    assert record["data"].startswith("digits: 1,347 + 450 images of 28×28×1, uint8 from 0 to 255 (")
    assert f"<p>{record['data']}.</p>" in (compared / "report.html").read_text()


def test_equal_time_gives_freezeout_more_iterations(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--iterations", "20", "--batch-size", "20", "--seeds", "1", "--how-scale", "cubic"]
    methods = ["--methods", "classic,freezeout", "--equal-time"]
    assert main(["compare", *options, *methods, "--out", str(out)]) == 0
    record = json.loads((out / "experiment.json").read_text())
    assert record["iterations"]["classic"] == 20
    assert 22 <= record["iterations"]["freezeout"] <= 28
    assert record["predicted_ratio"]["freezeout"] == pytest.approx(1, abs=0.05)
    rows = pd.read_csv(out / "results.csv").groupby("method").iteration.count()
    assert rows.to_dict() == record["iterations"]
    capsys.readouterr()


@pytest.mark.usefixtures("small_networks")
def test_costs_that_are_measured_change_predictions_alone(tmp_path, capsys):
    options = ["--iterations", "8", "--batch-size", "20", "--seeds", "1"]
    options += ["--methods", "classic,annealed,freezeout,shorter"]
    for costs in ("flops", "measured"):
        out = str(tmp_path / costs)
        assert main(["compare", *options, "--costs", costs, "--out", out]) == 0
    by_flops, timed = (tmp_path / costs for costs in ("flops", "measured"))
    columns = ["method", "iteration", "loss", "frozen"]
    ours, theirs = (pd.read_csv(out / "results.csv")[columns] for out in (timed, by_flops))
    pd.testing.assert_frame_equal(ours, theirs)
    records = [json.loads((out / "experiment.json").read_text()) for out in (timed, by_flops)]
    ratios, counted = (record["predicted_ratio"] for record in records)
    assert ratios["freezeout"] != counted["freezeout"]
    assert 0 < ratios["freezeout"] < ratios["annealed"] == 1
    assert records[0]["settings"]["costs"] == "measured"
    pages = [(out / "report.html").read_text() for out in (timed, by_flops)]
    assert "Predicted: from what each block was measured to take" in pages[0]
    assert "Predicted: from the FLOPs of each stage" in pages[1]
    capsys.readouterr()


@pytest.mark.usefixtures("settled_first_block", "small_networks")
def test_rules_of_freezing_are_compared(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--iterations", "20", "--batch-size", "20", "--seeds", "1", "--freeze-every", "2"]
    methods = ["--methods", "annealed,layerfreezing,autofreeze"]
    assert main(["compare", *options, *methods, "--out", str(out)]) == 0
    assert "autofreeze against annealed" in capsys.readouterr().out
    summary = pd.read_csv(out / "summary.csv", index_col="method")
    assert summary.baseline["layerfreezing"] == summary.baseline["autofreeze"] == "annealed"
    runs = pd.read_csv(out / "results.csv").groupby("method")
    frozen = {name: rows.frozen.max() for name, rows in runs}
    assert frozen["annealed"] == 0
    assert frozen["layerfreezing"] == 4
    assert 0 < frozen["autofreeze"] < 5
    assert summary.predicted_ratio["annealed"] == 1
    assert summary.predicted_ratio["layerfreezing"] < 1
    assert summary.predicted_ratio["autofreeze"] < 1  # told by what froze in the runs
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    assert settings["freeze_every"] == 2
    assert main(["train", "--method", "autofreeze", "--dry-run"]) == 0
    assert "predicted saving: what freezes depends on the run" in capsys.readouterr().out


@pytest.mark.usefixtures("small_networks")
def test_settings_of_a_grid_are_compared_and_gone_on_with(tmp_path, capsys):
    out = tmp_path / "out"
    command = ["compare", "--iterations", "10", "--batch-size", "20", "--seeds", "1", "--out"]
    command += [str(out), "--methods", "annealed,freezeout", "--resume", "--grid"]
    assert main([*command, "t_0=0.4,0.9"]) == 0
    labels = ["freezeout t_0=0.4", "freezeout t_0=0.9"]
    summary = pd.read_csv(out / "summary.csv", index_col="method")
    assert list(summary.index) == ["annealed", *labels]
    assert (summary.baseline[labels] == "annealed").all()
    assert summary.predicted_ratio[labels[0]] < summary.predicted_ratio[labels[1]] < 1
    record = json.loads((out / "experiment.json").read_text())
    assert record["settings"]["methods"] == ["annealed", "freezeout"]
    assert record["settings"]["grid"] == {"t_0": [0.4, 0.9]}
    assert "t_0" not in record["settings"]
    assert record["grid"] == {labels[0]: {"t_0": 0.4}, labels[1]: {"t_0": 0.9}}
    frozen = pd.read_csv(out / "results.csv").groupby("method").frozen.sum()
    assert frozen[labels[0]] > frozen[labels[1]] > 0
    capsys.readouterr()
    assert main([*command, "t_0=0.4,0.9"]) == 0
    assert "is finished" in capsys.readouterr().out
    assert main([*command, "t_0=0.4,0.8"]) == 1
    assert "is of other settings: grid " in capsys.readouterr().err
