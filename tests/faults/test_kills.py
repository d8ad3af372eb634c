"""A few faults of those that `make soak` lets commands meet, at moments that a seed decides."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest


@pytest.mark.usefixtures("bits_in_any_place")  # as the caches need that keep everything
@pytest.mark.parametrize(
    ("name", "faults", "seed"),
    [("freezeout", ("SIGKILL", "full"), 2), ("compare crops", ("SIGTERM",), 1)],
)
def test_a_command_goes_on_to_the_same_bits(kills, tmp_path, name, faults, seed):
    commands = kills.Faults(tmp_path, (name,), seed)
    for what in faults:
        commands.meet((what,))
    assert commands.failures == []
    assert sum(commands.ended.values()) >= len(faults)


@pytest.mark.parametrize("loss", ["0.5", "0.50000000000000011"])
def test_a_difference_in_the_last_bit_is_seen(kills, tmp_path, loss):
    for name, text, seconds in (("whole", "0.5", 1), ("out", loss, 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.csv").write_text(f"loss,seconds\n{text},{seconds}\n")
        line = {"iteration": 1, "loss": float(text), "steps_seconds": seconds}
        (tmp_path / name / "log.jsonl").write_text(json.dumps(line) + "\n")
        with zipfile.ZipFile(tmp_path / name / "model.keras", "w") as archive:
            weights = io.BytesIO()
            with h5py.File(weights, "w") as file:
                file["layers/0"] = np.full(3, float(text))
            archive.writestr("model.weights.h5", weights.getvalue())
            archive.writestr("config.json", "{}")
    different = kills.differences(tmp_path / "out", tmp_path / "whole")
    assert different == ([] if loss == "0.5" else ["log.jsonl", "model.keras", "results.csv"])
    (tmp_path / "out" / "more.md").touch()
    assert "more.md" in kills.differences(tmp_path / "out", tmp_path / "whole")
