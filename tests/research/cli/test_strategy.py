import json

import pandas as pd
import pytest

from research.cli import main


@pytest.mark.parametrize("name", ["mirrored", "workers"])
def test_train_on_several_devices(name, mirrored, workers):
    folder = {"mirrored": mirrored, "workers": workers}[name]
    run = folder / ("mirrored" if name == "mirrored" else "worker0")
    losses = [pd.read_csv(each / "results.csv").loss for each in (mirrored / "alone", run)]
    assert len(losses[0]) == 4
    assert losses[1][0] == pytest.approx(losses[0][0], rel=0.2)  # normalization is by replica
    record = json.loads((run / "experiment.json").read_text())
    assert record["settings"]["strategy"] == ("mirrored" if name == "mirrored" else "multiworker")
    exchange = record["exchange"]
    assert (exchange["count"], exchange["workers"]) == (2, 1 if name == "mirrored" else 2)
    assert min(exchange["bytes"], exchange["bytes_saved"]) > 0
    assert (run / "model.keras").exists()


def test_workers_write_the_same(workers):
    found = [pd.read_csv(workers / f"worker{number}" / "results.csv") for number in range(2)]
    assert found[0].loss.tolist() == found[1].loss.tolist()


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["train", "--strategy", "tpu"], 2, "invalid choice: 'tpu'"),
        (["train", "--strategy", "multiworker"], 1, "TF_CONFIG, which must name several workers"),
        (["compare", "--strategy", "mirrored"], 2, "is an option of resbatch train"),
    ],
)
def test_refused_before_training(arguments, status, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    out = tmp_path / "out"
    try:
        found = main([*arguments, "--out", str(out)])
    except SystemExit as left:
        found = left.code
    assert found == status
    assert sentence in capsys.readouterr().err
    assert not out.exists()
